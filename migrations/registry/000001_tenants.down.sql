DROP TABLE dermaga.tenants, dermaga.status_transitions, dermaga.servers, dermaga.plans;
DROP FUNCTION dermaga.tenants_guard();
DROP TYPE dermaga.tenant_status;
