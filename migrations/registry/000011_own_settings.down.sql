ALTER TABLE dermaga.logins DROP replication;
ALTER TABLE dermaga.tenants DROP CONSTRAINT tenants_own_settings;
