DROP FUNCTION dermaga.raise_lease(uuid, bigint, int, interval);
DROP FUNCTION dermaga.join_instance(uuid, text, boolean, bigint, int);
DROP FUNCTION dermaga.heard(timestamptz);
DROP TABLE dermaga.server_leases;
ALTER TABLE dermaga.instances DROP broker, DROP cancel_prefix, DROP draining;
