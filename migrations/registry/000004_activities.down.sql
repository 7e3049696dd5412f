DROP TABLE dermaga.tenant_migrations, dermaga.activities;
DROP FUNCTION dermaga.activities_append_only();
