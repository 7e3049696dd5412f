-- Who may do what inside a new tenant database. Runs as journal_owner, before
-- the migrations, whose objects get their grants from the defaults set here.
ALTER SCHEMA public OWNER TO journal_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO journal_app, journal_ro;

ALTER DEFAULT PRIVILEGES FOR ROLE journal_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO journal_app;
ALTER DEFAULT PRIVILEGES FOR ROLE journal_owner IN SCHEMA public
  GRANT SELECT ON TABLES TO journal_ro;
ALTER DEFAULT PRIVILEGES FOR ROLE journal_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO journal_app;
-- No IN SCHEMA: only the global form takes PUBLIC's own default away.
ALTER DEFAULT PRIVILEGES FOR ROLE journal_owner
  REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE journal_owner IN SCHEMA public
  GRANT EXECUTE ON FUNCTIONS TO journal_app, journal_ro;
