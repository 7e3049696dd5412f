"""What an application does with psycopg 3. Prints what it saw as JSON.

SOURCE marks the entries of this run.
"""

import json
import os
import threading
from datetime import date
from decimal import Decimal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

URL = os.environ["DATABASE_URL"]
SOURCE = os.environ["SOURCE"]
saw = {}


def connect(**options):
    return psycopg.connect(URL, autocommit=True, **options)


with connect() as conn:
    saw["owner"] = [name for (name,) in conn.execute("SELECT name FROM contacts WHERE kind = 'OTHER'")]
    with connect(row_factory=dict_row) as rows:
        saw["accounts"] = rows.execute("SELECT code, name_id FROM accounts ORDER BY code LIMIT 5").fetchall()
    codes = [account["code"] for account in saw["accounts"]]

    # Parameters and types, as text and as binary.
    asked = (Decimal("1110000.00"), date(2026, 11, 24), Jsonb({"lines": [1, 2]}), ["a", 'b"c', None], b"\x00\x01\xff")
    for binary in (False, True):
        got = conn.execute("SELECT %s::numeric(20,2), %s::date, %s::jsonb, %s::text[], %s::bytea", asked, binary=binary).fetchone()
        saw[f"types, binary {binary}"] = [str(value) for value in got]

    # Prepared on the server, used more often than psycopg's own threshold.
    by_code = "SELECT name_id FROM accounts WHERE code = %s"
    saw["prepared"] = [conn.execute(by_code, (codes[i % 5],), prepare=True).fetchone()[0] for i in range(20)]

    # Pipeline: many messages before one Sync, and an error inside.
    with conn.pipeline():
        cursors = [conn.execute(by_code, (code,)) for code in codes]
        saw["pipeline"] = [cursor.fetchone()[0] for cursor in cursors]
    try:
        with conn.pipeline():
            conn.execute("SELECT 1 / 0")
            conn.execute("SELECT 'aborted with it'")
    except psycopg.Error as err:
        saw["pipeline error"] = err.sqlstate
    saw["pipeline over"] = conn.execute("SELECT 'goes on'").fetchone()[0]

# An entry that balances is kept, one that does not is refused at COMMIT.
LINE = "INSERT INTO journal_lines (entry_id, line_no, account_id, debit, credit) SELECT %s, %s, id, %s, %s FROM accounts WHERE code = %s"


def post(conn, debit, credit):
    (entry,) = conn.execute(
        "INSERT INTO journal_entries (entry_date, period_id, description, source)"
        " SELECT starts_on, id, 'sale', %s FROM periods ORDER BY starts_on LIMIT 1 RETURNING id",
        (SOURCE,),
    ).fetchone()
    conn.execute(LINE, (entry, 1, debit, 0, "1-1300"))
    conn.execute(LINE, (entry, 2, 0, credit, "4-1000"))
    conn.execute("UPDATE journal_entries SET status = 'POSTED', posted_at = now(), number = 'P' || id WHERE id = %s", (entry,))


with connect() as conn:
    with conn.transaction():
        post(conn, Decimal("1110000.00"), Decimal("1110000.00"))
        try:
            with conn.transaction():  # a savepoint
                conn.execute("SELECT * FROM no_such_table")
        except psycopg.errors.UndefinedTable as err:
            saw["savepoint"] = err.sqlstate
    try:
        with conn.transaction():
            post(conn, Decimal("1110000.00"), Decimal("1"))
    except psycopg.Error as err:
        saw["unbalanced"] = err.sqlstate
    try:
        with conn.transaction():
            post(conn, Decimal("5.00"), Decimal("5.00"))
            raise KeyError("changed my mind")
    except KeyError:
        pass
    saw["kept"] = conn.execute("SELECT count(*) FROM journal_entries WHERE source = %s", (SOURCE,)).fetchone()[0]

# A cursor on the server, COPY both ways, session state.
with connect() as conn:
    with conn.transaction(), conn.cursor("all_accounts") as cursor:
        cursor.execute("SELECT code FROM accounts ORDER BY code")
        cursor.itersize = 10
        saw["cursor"] = [code for (code,) in cursor]
    conn.execute("CREATE TEMP TABLE basket (n int, what text)")
    with conn.cursor() as cursor, cursor.copy("COPY basket FROM STDIN") as copy:
        for n in range(5000):
            copy.write_row((n, "x" * 100))
    with conn.cursor() as cursor, cursor.copy("COPY (SELECT n FROM basket) TO STDOUT") as copy:
        saw["copied"] = sum(int(row[0]) for row in copy.rows())
    conn.execute("SET TIME ZONE 'Asia/Jakarta'")
    conn.execute("LISTEN till")
    with connect() as other:
        other.execute("NOTIFY till, 'closed'")
    saw["heard"] = next(conn.notifies(timeout=30)).payload
    saw["zone"] = conn.execute("SHOW TIME ZONE").fetchone()[0]
    saw["basket"] = conn.execute("SELECT count(*) FROM basket").fetchone()[0]

# A cancel reaches the query that runs now, and only that.
with connect() as conn, connect() as other:
    asleep = f"SELECT pg_sleep(60), '{SOURCE}'"
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
    outcome = []

    def sleep():
        try:
            conn.execute(asleep)
        except psycopg.Error as err:
            outcome.append(err.sqlstate)

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    while sleeper.is_alive() and other.execute(running, (asleep,)).fetchone()[0] == 0:
        pass
    conn.cancel_safe(timeout=30)
    sleeper.join()
    saw["cancelled"] = outcome
    saw["after the cancel"] = conn.execute("SELECT 'goes on'").fetchone()[0]

print(json.dumps(saw))
