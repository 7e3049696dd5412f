-- What only a superuser can set up, once per server. dermaga_admin exists.

-- From PostgreSQL 16 on, CREATEROLE alone does not let a role hand out groups
-- that it did not make.
GRANT journal_owner, journal_app, journal_ro TO dermaga_admin WITH ADMIN OPTION;

-- Dropping or fencing a database that a tenant is connected to has to end its
-- sessions.
GRANT pg_signal_backend TO dermaga_admin;

-- Else only a superuser may bound a tenant's temporary files.
GRANT SET ON PARAMETER temp_file_limit TO dermaga_admin;

-- Tenants have no business in the common databases.
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO dermaga_admin;
