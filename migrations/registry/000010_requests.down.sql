DROP TABLE dermaga.idempotency_keys;
ALTER TABLE dermaga.api_tokens DROP expires_at, DROP revoked_at;
