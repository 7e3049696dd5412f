DROP TABLE dermaga.server_credentials, dermaga.credentials, dermaga.encryption_keys;
DROP TYPE dermaga.role_kind;
