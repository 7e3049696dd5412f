-- Gives what is in a tenant's database to its own owner role, whose name is in
-- the setting dermaga.owner. Runs in one transaction as the admin, who is a
-- member of both owners for as long as that takes.
--
-- Object by object: REASSIGN OWNED would also take the databases of all other
-- tenants, which journal_owner has as well. It keeps this database, the schema
-- (so that its owner can drop neither), extensions and the version of the
-- journal's migrations.
DO $$
DECLARE
  mine text := current_setting('dermaga.owner');
  o record;
BEGIN
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA public TO %I', mine);
  EXECUTE format('GRANT SELECT ON public.schema_migrations TO %I', mine);
  FOR o IN
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS sort,
           c.oid::regclass::text AS name
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relowner = 'journal_owner'::regrole
      AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relname <> 'schema_migrations'
      AND NOT EXISTS ( -- a column's sequence goes with its table
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = 'journal_owner'::regrole
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'TYPE', t.oid::regtype::text
    FROM pg_catalog.pg_type t
    WHERE t.typnamespace = 'public'::regnamespace AND t.typowner = 'journal_owner'::regrole
      AND t.typtype IN ('e', 'd')
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER %s %s OWNER TO %I', o.sort, o.name, mine);
  END LOOP;

  -- What it makes is for the tenant's other roles as schema.sql has it.
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO journal_app', mine);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT ON TABLES TO journal_ro', mine);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO journal_app', mine);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC', mine);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO journal_app, journal_ro', mine);
END
$$;
