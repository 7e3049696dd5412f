-- The group roles own and use the objects in every tenant's database, so that
-- a new database needs no grants per tenant. They are made once per server.
-- journal_owner owns databases and schemas, journal_app reads and writes,
-- journal_ro reads. Nobody logs in as one of them.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['journal_owner', 'journal_app', 'journal_ro'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    END IF;
  END LOOP;
END
$$;
