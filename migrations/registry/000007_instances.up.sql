-- Instances wait for each other's acknowledgement and divide the servers' connections.
ALTER TABLE dermaga.instances
  ADD broker boolean NOT NULL DEFAULT false,     -- it relays: its seen_change is waited for
  ADD cancel_prefix int CONSTRAINT instances_cancel_prefix UNIQUE CHECK (cancel_prefix BETWEEN 1 AND 1023),
  ADD draining boolean NOT NULL DEFAULT false;

CREATE TABLE dermaga.server_leases (
  instance_id uuid NOT NULL REFERENCES dermaga.instances ON DELETE CASCADE,
  server_id   bigint NOT NULL REFERENCES dermaga.servers ON DELETE CASCADE,
  connections int NOT NULL CHECK (connections >= 0),
  PRIMARY KEY (instance_id, server_id)
);
CREATE INDEX server_leases_server ON dermaga.server_leases (server_id);
COMMENT ON TABLE dermaga.server_leases IS
  'how many connections of a server each instance may have; those of an instance unheard of for ten seconds are free';

-- When an instance was last heard of; before this PostgreSQL started, nobody could be.
CREATE FUNCTION dermaga.heard(heartbeat_at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS
'SELECT greatest(heartbeat_at, pg_catalog.pg_postmaster_start_time())';

-- Instances join one after another, so that no two choose one prefix. Rows of
-- processes that ended without a word are cleared away.
CREATE FUNCTION dermaga.join_instance(me uuid, address text, relays boolean, change bigint, wish int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '1s' AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('dermaga.join_instance', 0));
  DELETE FROM dermaga.instances WHERE dermaga.heard(heartbeat_at) < clock_timestamp() - interval '10 minutes';
  INSERT INTO dermaga.instances (id, peer_address, broker, seen_change, started_at, heartbeat_at, cancel_prefix)
  VALUES (me, address, relays, change, clock_timestamp(), clock_timestamp(),
    (SELECT p FROM generate_series(1, 1023) p
     WHERE relays AND NOT EXISTS (SELECT FROM dermaga.instances WHERE cancel_prefix = p)
     ORDER BY p <> wish, p LIMIT 1))
  ON CONFLICT (id) DO NOTHING;
END $$;

-- Raises a lease to what is wanted or what is free, and returns it. What belongs to
-- instances unheard of for longer than silence is free. It is one statement for its
-- caller, who may stop at any point and must not take the lock along; and it is not
-- one of SQL, for what others hold has to be read after the lock is had.
CREATE FUNCTION dermaga.raise_lease(me uuid, server bigint, wanted int, silence interval) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  budget int;
  others int;
  has    int;
BEGIN
  SELECT connection_budget INTO budget FROM dermaga.servers WHERE id = server FOR NO KEY UPDATE;
  SELECT coalesce(sum(l.connections) FILTER (WHERE i.id <> me
           AND dermaga.heard(i.heartbeat_at) > clock_timestamp() - silence), 0),
         coalesce(max(l.connections) FILTER (WHERE i.id = me), 0)
  INTO others, has
  FROM dermaga.server_leases l JOIN dermaga.instances i ON i.id = l.instance_id
  WHERE l.server_id = server;
  IF least(wanted, budget - others) > has THEN
    has := least(wanted, budget - others);
    INSERT INTO dermaga.server_leases AS l VALUES (me, server, has)
    ON CONFLICT (instance_id, server_id) DO UPDATE SET connections = has;
  END IF;
  RETURN has;
END $$;
