CREATE TABLE account_balances (
  account_id bigint NOT NULL REFERENCES accounts,
  period_id  bigint NOT NULL REFERENCES periods,
  debit      numeric(20,2) NOT NULL DEFAULT 0,
  credit     numeric(20,2) NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, period_id)
);
