ALTER TABLE dermaga.logins DROP CONSTRAINT logins_console, DROP console, DROP expires_at, DROP disabled_at;
