-- What was done to whom. Nobody changes the past.
CREATE TABLE dermaga.activities (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  tenant_id uuid REFERENCES dermaga.tenants,
  server_id bigint REFERENCES dermaga.servers,
  actor     text NOT NULL CHECK (actor <> ''),
  action    text NOT NULL CHECK (action <> ''),
  outcome   text NOT NULL DEFAULT 'ok' CHECK (outcome IN ('ok', 'failed', 'denied')),
  message   text
);
CREATE INDEX activities_tenant ON dermaga.activities (tenant_id, id DESC);

CREATE FUNCTION dermaga.activities_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'activities is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dermaga.activities
  FOR EACH STATEMENT EXECUTE FUNCTION dermaga.activities_append_only();

-- The tenant's own schema_migrations says where it is; this is how it got there.
CREATE TABLE dermaga.tenant_migrations (
  tenant_id  uuid NOT NULL REFERENCES dermaga.tenants,
  set_name   text NOT NULL,
  version    bigint NOT NULL,
  attempt    int NOT NULL DEFAULT 1,
  name       text NOT NULL,
  state      text NOT NULL CHECK (state IN ('applied', 'failed')),
  sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
  actor      text NOT NULL,
  started_at timestamptz NOT NULL,
  duration   interval NOT NULL,
  sqlstate   text,
  error      text,
  PRIMARY KEY (tenant_id, set_name, version, attempt)
);
