import os
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

engine = create_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg"),
    connect_args={"sslmode": "verify-full", "sslrootcert": os.environ["CA_FILE"]},
    pool_size=4,
    max_overflow=0,
    pool_pre_ping=True,  # a lost connection is found before it is lent
)

with engine.connect() as conn:
    assert conn.connection.driver_connection.pgconn.ssl_in_use
    print("1 connected over TLS")

    for _ in range(10):  # psycopg prepares after five times
        conn.execute(text("SELECT name_id FROM accounts WHERE code = :code"), {"code": "1-1000"}).one()
    print("2 prepared a statement, ran it several times: by psycopg's default")

with engine.begin() as conn:
    conn.execute(text("INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'sqlalchemy')"))
with engine.connect() as conn:
    conn.execute(text("DELETE FROM contacts WHERE name = 'sqlalchemy'"))
    conn.rollback()
    deleted = conn.execute(text("DELETE FROM contacts WHERE name = 'sqlalchemy'"))
    conn.commit()
    assert deleted.rowcount == 1, f"{deleted.rowcount} contacts instead of one"
print("3 committed one transaction, rolled another back")

with engine.connect() as conn:
    rows = conn.execution_options(yield_per=1000).execute(
        text("SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n")
    )
    print(f"4 streamed {sum(1 for _ in rows)} rows: yield_per")

with engine.connect() as conn:
    driver = conn.connection.driver_connection
    threading.Timer(1, driver.cancel_safe).start()
    try:
        conn.execute(text("SELECT pg_sleep(60)"))
    except OperationalError as err:
        if err.orig.sqlstate != "57014":
            raise
        conn.rollback()
        conn.execute(text("SELECT 1"))
        assert conn.connection.driver_connection is driver
        print("5 cancelled, and the connection goes on: psycopg's cancel_safe")

try:
    with engine.connect() as conn:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
except OperationalError as err:
    if err.orig.sqlstate != "57P01":
        raise
with engine.connect() as conn:
    conn.execute(text("SELECT 1"))
    print("6 reconnected after the session was ended: the pool")
