DROP TABLE bank_lines, bank_accounts;
