-- Time-outs and such that a tenant has of its own, and logins that may replicate.
-- Time-outs are milliseconds; 0: none, where the broker's default has one.
ALTER TABLE dermaga.tenants ADD CONSTRAINT tenants_own_settings CHECK (
  (overrides->>'query_timeout')::bigint >= 0
  AND (overrides->>'query_wait_timeout')::bigint > 0
  AND (overrides->>'query_wait_notify')::bigint >= 0
  AND (overrides->>'idle_transaction_timeout')::bigint >= 0
  AND (overrides->>'transaction_timeout')::bigint >= 0
  AND (overrides->>'client_idle_timeout')::bigint >= 0
  AND (overrides->>'pin_idle_timeout')::bigint >= 0
  AND (overrides->>'max_pinned')::int > 0
  AND overrides->>'transaction_state' IN ('clean', 'refuse'));

ALTER TABLE dermaga.logins ADD replication boolean NOT NULL DEFAULT false;
