-- Who the tenants are, on which servers they live, and which status may follow which.
CREATE TYPE dermaga.tenant_status AS ENUM ('PROVISIONING', 'MIGRATING', 'ACTIVE', 'SUSPENDED', 'DELETED');

CREATE TABLE dermaga.plans (
  name               text PRIMARY KEY CHECK (name ~ '^[A-Z][A-Z0-9_]*$'),
  server_connections int NOT NULL CHECK (server_connections > 0),
  clients            int NOT NULL CHECK (clients > 0),
  -- NULL in a limit below: none
  statement_timeout  interval,
  idle_in_tx_timeout interval,
  temp_file_bytes    bigint CHECK (temp_file_bytes > 0),
  work_mem_bytes     bigint CHECK (work_mem_bytes > 0),
  storage_bytes      bigint CHECK (storage_bytes > 0)
);

INSERT INTO dermaga.plans VALUES
  ('STARTER',     10,   100, '30s', '60s',   1::bigint << 30,  8::bigint << 20,  1::bigint << 30),
  ('BUSINESS',    25,  1000, '60s', '5 min', 4::bigint << 30, 16::bigint << 20, 20::bigint << 30),
  ('ENTERPRISE', 100, 10000, NULL,  NULL,    NULL,            32::bigint << 20, NULL);

CREATE TABLE dermaga.servers (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name              text NOT NULL CONSTRAINT servers_name UNIQUE CHECK (name <> ''),
  host              text NOT NULL CHECK (host <> ''),
  port              int NOT NULL DEFAULT 5432 CHECK (port BETWEEN 1 AND 65535),
  sslmode           text NOT NULL DEFAULT 'prefer'
                    CHECK (sslmode IN ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')),
  ca_pem            text,
  max_tenants       int CHECK (max_tenants > 0),        -- NULL: no limit
  connection_budget int NOT NULL CHECK (connection_budget > 0),
  weight            int NOT NULL DEFAULT 1 CHECK (weight > 0),
  state             text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'disabled')),
  created_at        timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT servers_address UNIQUE (host, port)
);

CREATE TABLE dermaga.tenants (
  id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- the same rule as package registry/slug; a test holds the two together
  slug             text NOT NULL CONSTRAINT tenants_slug_rule CHECK (
                     slug ~ '^[a-z0-9][a-z0-9-]{0,48}$' AND slug !~ '--' AND slug !~ '-$'
                     AND slug NOT IN ('admin', 'api', 'auth', 'dermaga', 'health', 'metrics', 'pgbouncer',
                                      'postgres', 'ready', 'static', 'template0', 'template1', 'v1')),
  name             text NOT NULL CHECK (name <> ''),
  plan             text NOT NULL CONSTRAINT tenants_plan REFERENCES dermaga.plans,
  status           dermaga.tenant_status NOT NULL DEFAULT 'PROVISIONING',
  suspended_reason text,
  server_id        bigint NOT NULL REFERENCES dermaga.servers,
  database         text NOT NULL CHECK (octet_length(database) BETWEEN 1 AND 63),
  overrides        jsonb NOT NULL DEFAULT '{}' CHECK (  -- single limits of the plan, for this tenant
                     jsonb_typeof(overrides) = 'object'
                     AND (overrides->>'pool_size')::int > 0 AND (overrides->>'max_clients')::int > 0
                     AND overrides->>'pool_mode' IN ('auto', 'session', 'transaction', 'statement')),
  version          bigint NOT NULL DEFAULT 1,           -- grows with every change: cache and optimistic lock
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  deleted_at       timestamptz,
  purged_at        timestamptz,
  CHECK ((status = 'DELETED') = (deleted_at IS NOT NULL)),
  CHECK (purged_at IS NULL OR status = 'DELETED')
);
-- the slug and database of a purged tenant can be used again; its row stays
CREATE UNIQUE INDEX tenants_slug_live ON dermaga.tenants (slug) WHERE purged_at IS NULL;
CREATE UNIQUE INDEX tenants_database_live ON dermaga.tenants (server_id, database) WHERE purged_at IS NULL;

CREATE TABLE dermaga.status_transitions (
  from_status dermaga.tenant_status NOT NULL,
  to_status   dermaga.tenant_status NOT NULL,
  by          text NOT NULL,
  PRIMARY KEY (from_status, to_status)
);

INSERT INTO dermaga.status_transitions VALUES
  ('PROVISIONING', 'MIGRATING',    'database and roles exist'),
  ('PROVISIONING', 'ACTIVE',       'template copy, already at the target version'),
  ('PROVISIONING', 'SUSPENDED',    'failed, cleaned up'),
  ('PROVISIONING', 'DELETED',      'cancelled'),
  ('MIGRATING',    'ACTIVE',       'migrated and checked'),
  ('MIGRATING',    'SUSPENDED',    'failed'),
  ('ACTIVE',       'MIGRATING',    'migration or move begins'),
  ('ACTIVE',       'SUSPENDED',    'operator, plan or quota'),
  ('ACTIVE',       'DELETED',      'operator'),
  ('SUSPENDED',    'ACTIVE',       'resume'),
  ('SUSPENDED',    'MIGRATING',    'retry of a failed migration, or migrating while suspended'),
  ('SUSPENDED',    'PROVISIONING', 'retry of a failed provisioning'),
  ('SUSPENDED',    'DELETED',      'operator'),
  ('DELETED',      'SUSPENDED',    'restore within the grace period');

CREATE FUNCTION dermaga.tenants_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF OLD.purged_at IS NOT NULL THEN
    RAISE EXCEPTION 'tenant % is purged', OLD.slug
      USING ERRCODE = 'check_violation', CONSTRAINT = 'tenant_purged';
  END IF;
  IF NEW.status <> OLD.status AND NOT EXISTS (
      SELECT FROM dermaga.status_transitions WHERE from_status = OLD.status AND to_status = NEW.status) THEN
    RAISE EXCEPTION 'tenant % cannot go from % to %', OLD.slug, OLD.status, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'tenant_transition';
  END IF;
  NEW.version := OLD.version + 1;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON dermaga.tenants FOR EACH ROW EXECUTE FUNCTION dermaga.tenants_guard();
