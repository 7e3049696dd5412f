#!/usr/bin/env bash
set -euo pipefail
psql=(psql -XAtq -d "$DATABASE_URL?sslmode=verify-full&sslrootcert=$CA_FILE")

"${psql[@]}" <<'SQL'
\set ON_ERROR_STOP on
\echo 1 connected over TLS

PREPARE account(text) AS SELECT name_id FROM accounts WHERE code = $1;
EXECUTE account('1-1000') \gset
EXECUTE account('1-1100') \gset
EXECUTE account('1-1110') \gset
DEALLOCATE account;
\echo 2 prepared a statement, ran it several times: PREPARE

BEGIN;
INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'psql');
COMMIT;
BEGIN;
DELETE FROM contacts WHERE name = 'psql';
ROLLBACK;
DELETE FROM contacts WHERE name = 'psql' RETURNING '3 committed one transaction, rolled another back';

-- Without FETCH_COUNT, psql keeps the whole answer before it shows a row.
\set FETCH_COUNT 1000
SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n
\g | awk 'END { print "4 streamed " NR " rows: FETCH_COUNT" }'

SET statement_timeout = '1s';
\set ON_ERROR_STOP off
SELECT pg_sleep(60);
\set state :SQLSTATE
\set ON_ERROR_STOP on
SELECT '5 cancelled, and the connection goes on: statement_timeout' WHERE :'state' = '57014';
SQL

# A script ends with status 2 when its connection is lost: it is for the caller to
# start again. At a prompt, psql connects again by itself.
"${psql[@]}" -c 'SELECT pg_terminate_backend(pg_backend_pid())' || [ $? -eq 2 ]
"${psql[@]}" -c "SELECT '6 reconnected after the session was ended: psql, started again'"
