DROP VIEW trial_balance;
