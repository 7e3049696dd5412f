DROP TABLE account_balances;
