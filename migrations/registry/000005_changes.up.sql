-- How every instance learns, within a second, that a row has changed.
CREATE TABLE dermaga.changes (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tx        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  entity    text NOT NULL,
  entity_id text NOT NULL
);
CREATE INDEX changes_tx ON dermaga.changes (tx);
COMMENT ON TABLE dermaga.changes IS 'what NOTIFY dermaga_changes points to, for listeners that missed one; trimmed after an hour';
COMMENT ON COLUMN dermaga.changes.tx IS
  'ids are given before commit, so a later id can be seen before an earlier one; by transaction nothing is skipped';

CREATE FUNCTION dermaga.announce() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  row_ jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
  who  text := coalesce(row_->>TG_ARGV[0], '*');
  c    bigint;
BEGIN
  INSERT INTO dermaga.changes (entity, entity_id) VALUES (TG_TABLE_NAME, who) RETURNING id INTO c;
  PERFORM pg_notify('dermaga_changes', c || ' ' || TG_TABLE_NAME || ' ' || who);
  RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.tenants
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.credentials
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('tenant_id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.logins
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.login_verifiers
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('login_id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.login_grants
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('login_id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.servers
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON dermaga.plans
  FOR EACH ROW EXECUTE FUNCTION dermaga.announce('name');

-- Who listens: one row per running broker, renewed with its probe of the channel.
CREATE TABLE dermaga.instances (
  id           uuid PRIMARY KEY,
  peer_address text NOT NULL,
  started_at   timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  seen_change  bigint NOT NULL DEFAULT 0
);
