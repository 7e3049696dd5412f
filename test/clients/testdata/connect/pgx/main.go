// Command pgx does with pgx what docs/connecting.md tells of every client.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL") + "?sslmode=verify-full&sslrootcert=" + os.Getenv("CA_FILE"))
	if err != nil {
		return err
	}
	config.MaxConns = 4
	// Without it a context that ends closes the connection.
	config.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 5 * time.Second}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()

	if err := pool.Ping(ctx); err != nil {
		return err
	}
	fmt.Println("1 connected over TLS")

	for range 10 {
		var name string
		if err := pool.QueryRow(ctx, "SELECT name_id FROM accounts WHERE code = $1", "1-1000").Scan(&name); err != nil {
			return err
		}
	}
	fmt.Println("2 prepared a statement, ran it several times: by default")

	if err := transactions(ctx, pool); err != nil {
		return err
	}
	fmt.Println("3 committed one transaction, rolled another back")

	rows, err := pool.Query(ctx, "SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n")
	if err != nil {
		return err
	}
	count := 0
	for rows.Next() {
		count++
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	fmt.Printf("4 streamed %d rows: Rows\n", count)

	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	second, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if _, err := conn.Exec(second, "SELECT pg_sleep(60)"); !hasCode(err, "57014") {
		return fmt.Errorf("not cancelled: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		return err
	}
	fmt.Println("5 cancelled, and the connection goes on: context")

	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())"); !hasCode(err, "57P01") {
		return fmt.Errorf("not ended: %w", err)
	}
	conn.Release()
	if err := pool.Ping(ctx); err != nil {
		return err
	}
	fmt.Println("6 reconnected after the session was ended: pgxpool")
	return nil
}

func transactions(ctx context.Context, pool *pgxpool.Pool) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'pgx')")
		return err
	})
	if err != nil {
		return err
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "DELETE FROM contacts WHERE name = 'pgx'"); err != nil {
		return err
	}
	if err := tx.Rollback(ctx); err != nil {
		return err
	}
	deleted, err := pool.Exec(ctx, "DELETE FROM contacts WHERE name = 'pgx'")
	if err == nil && deleted.RowsAffected() != 1 {
		err = fmt.Errorf("%d contacts instead of one", deleted.RowsAffected())
	}
	return err
}

func hasCode(err error, code string) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == code
}
