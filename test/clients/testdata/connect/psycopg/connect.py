import os
import threading

import psycopg
from psycopg_pool import ConnectionPool

with ConnectionPool(
    os.environ["DATABASE_URL"],
    kwargs={"sslmode": "verify-full", "sslrootcert": os.environ["CA_FILE"]},
    min_size=1,
    max_size=4,
    timeout=10,  # seconds to wait for a connection
    check=ConnectionPool.check_connection,  # a lost connection is found before it is lent
) as pool:
    with pool.connection() as conn:
        assert conn.pgconn.ssl_in_use
        print("1 connected over TLS")

        for _ in range(10):  # prepared after five times
            conn.execute("SELECT name_id FROM accounts WHERE code = %s", ("1-1000",)).fetchone()
        print("2 prepared a statement, ran it several times: by default")

    with pool.connection() as conn:  # committed at the end of the block
        conn.execute("INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'psycopg')")
    with pool.connection() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute("DELETE FROM contacts WHERE name = 'psycopg'")
        deleted = conn.execute("DELETE FROM contacts WHERE name = 'psycopg'")
        assert deleted.rowcount == 1, f"{deleted.rowcount} contacts instead of one"
    print("3 committed one transaction, rolled another back")

    with pool.connection() as conn, conn.cursor("numbers") as cursor:  # a name makes it the server's
        cursor.itersize = 1000
        cursor.execute("SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n")
        print(f"4 streamed {sum(1 for _ in cursor)} rows: named cursor")

    with pool.connection() as conn:
        threading.Timer(1, conn.cancel_safe).start()
        try:
            conn.execute("SELECT pg_sleep(60)")
        except psycopg.errors.QueryCanceled:
            conn.rollback()
            conn.execute("SELECT 1")
            print("5 cancelled, and the connection goes on: cancel_safe")

    try:
        with pool.connection() as conn:
            conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    except psycopg.errors.AdminShutdown:
        pass
    with pool.connection() as conn:
        conn.execute("SELECT 1")
        print("6 reconnected after the session was ended: ConnectionPool")
