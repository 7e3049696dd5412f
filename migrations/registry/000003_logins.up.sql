-- Who may log in to the broker: verifiers, never passwords.
-- btree_gist (trusted: no superuser needed) lets = and <> on plain types into an exclusion constraint.
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA dermaga;

CREATE TABLE dermaga.logins (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name        text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 63),
  tenant_id   uuid REFERENCES dermaga.tenants ON DELETE CASCADE,          -- NULL: service login
  kind        dermaga.role_kind NOT NULL DEFAULT 'app',
  pool_mode   text CHECK (pool_mode IN ('auto', 'session', 'transaction', 'statement')),
  max_clients int CHECK (max_clients > 0),
  params      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
  created_at  timestamptz NOT NULL DEFAULT now(),
  -- One name is never both a tenant's login and a service's: what a client gets
  -- must not depend on which of the two is looked up first.
  CONSTRAINT logins_one_sort EXCLUDE USING gist (name WITH =, ((tenant_id IS NULL)::int) WITH <>)
);
CREATE UNIQUE INDEX logins_service ON dermaga.logins (name) WHERE tenant_id IS NULL;
CREATE UNIQUE INDEX logins_tenant ON dermaga.logins (tenant_id, name) WHERE tenant_id IS NOT NULL;

CREATE TABLE dermaga.login_verifiers (
  login_id    uuid NOT NULL REFERENCES dermaga.logins ON DELETE CASCADE,
  generation  int NOT NULL CHECK (generation > 0),
  verifier    text NOT NULL
              CHECK (verifier ~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$'),
  valid_until timestamptz CHECK (isfinite(valid_until)), -- NULL: for ever. The one before stays valid for the overlap
  PRIMARY KEY (login_id, generation)
);

CREATE TABLE dermaga.login_grants (
  login_id  uuid NOT NULL REFERENCES dermaga.logins ON DELETE CASCADE,
  tenant_id uuid REFERENCES dermaga.tenants ON DELETE CASCADE,            -- NULL: all, those to come included
  UNIQUE NULLS NOT DISTINCT (login_id, tenant_id)
);
