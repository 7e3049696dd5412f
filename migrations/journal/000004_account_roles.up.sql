CREATE TABLE account_roles (
  role       text PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts
);
COMMENT ON TABLE account_roles IS
  'which account the software posts to: cash, bank, ar, ap, vat_out, vat_in, retained_earnings, ...';
