-- What a person types into psql; run through the broker and directly, the
-- output has to be the same.
\set ON_ERROR_STOP off
\pset pager off

-- Tab completion and \d ask the catalogs.
\dt
\d accounts
\d+ trial_balance
\df check_*
\dn
\encoding

-- Several statements in one message; the third fails and takes them all.
SELECT 1 AS one\; SELECT 2 AS two\; SELECT 3 AS three;
SELECT 'before'\; SELECT 1 / 0\; SELECT 'after';
SELECT 'the connection lives on';

-- Session state stays with this session.
SET TIME ZONE 'Asia/Jakarta';
SET search_path = pg_catalog, public;
SHOW TIME ZONE;
SHOW search_path;
PREPARE by_code (text) AS SELECT name_id FROM accounts WHERE code = $1;
EXECUTE by_code ('1-1100');
CREATE TEMP TABLE basket (code text, amount numeric);
\copy basket from program 'printf "1-1100\t100.50\n4-1000\t99.50\n"'
\copy (SELECT code, amount FROM basket ORDER BY code) to stdout
SELECT sum(amount) FROM basket;

-- Transactions, savepoints, cursors.
BEGIN;
INSERT INTO contacts (kind, name) VALUES ('VENDOR', 'never seen');
SAVEPOINT s;
SELECT no_such_column FROM contacts;
ROLLBACK TO s;
SELECT count(*) FROM contacts WHERE name = 'never seen';
DECLARE three CURSOR FOR SELECT code FROM accounts ORDER BY code;
FETCH 3 FROM three;
ROLLBACK;
SELECT count(*) FROM contacts WHERE name = 'never seen';

-- A notice; and nothing is left after DISCARD ALL.
DO $$ BEGIN RAISE NOTICE 'said by the server'; END $$;
DISCARD ALL;
SHOW search_path;
EXECUTE by_code ('1-1100');

-- \gdesc asks by the extended protocol what a statement would return.
SELECT $1::int + $2::int AS sum, now() AS at \gdesc
