-- Who is served first, what is kept open, and how long a deleted tenant is kept.
ALTER TABLE dermaga.plans ADD weight int NOT NULL DEFAULT 1 CHECK (weight > 0);
UPDATE dermaga.plans SET weight = 4 WHERE name = 'BUSINESS';
UPDATE dermaga.plans SET weight = 16 WHERE name = 'ENTERPRISE';

ALTER TABLE dermaga.tenants
  ADD purge_after timestamptz,                   -- NULL: seven days after deleted_at
  ADD CONSTRAINT tenants_min_pool_size CHECK ((overrides->>'min_pool_size')::int >= 0);
CREATE INDEX tenants_purge ON dermaga.tenants (purge_after) WHERE status = 'DELETED' AND purged_at IS NULL;
