// Command database-sql does with database/sql what docs/connecting.md tells of every client.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	config, err := pgx.ParseConfig(os.Getenv("DATABASE_URL") + "?sslmode=verify-full&sslrootcert=" + os.Getenv("CA_FILE"))
	if err != nil {
		return err
	}
	// Without it a context that ends closes the connection.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 5 * time.Second}
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(5 * time.Minute)

	if err := db.PingContext(ctx); err != nil {
		return err
	}
	fmt.Println("1 connected over TLS")

	account, err := db.PrepareContext(ctx, "SELECT name_id FROM accounts WHERE code = $1")
	if err != nil {
		return err
	}
	defer account.Close()
	for range 10 {
		var name string
		if err := account.QueryRowContext(ctx, "1-1000").Scan(&name); err != nil {
			return err
		}
	}
	fmt.Println("2 prepared a statement, ran it several times: PrepareContext")

	if err := transactions(ctx, db); err != nil {
		return err
	}
	fmt.Println("3 committed one transaction, rolled another back")

	rows, err := db.QueryContext(ctx, "SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n")
	if err != nil {
		return err
	}
	defer rows.Close()
	count := 0
	for rows.Next() {
		count++
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	fmt.Printf("4 streamed %d rows: Rows\n", count)

	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	second, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if _, err := conn.ExecContext(second, "SELECT pg_sleep(60)"); !hasCode(err, "57014") {
		return fmt.Errorf("not cancelled: %w", err)
	}
	if err := conn.PingContext(ctx); err != nil {
		return err
	}
	fmt.Println("5 cancelled, and the connection goes on: context")

	if _, err := conn.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())"); !hasCode(err, "57P01") {
		return fmt.Errorf("not ended: %w", err)
	}
	if err := db.PingContext(ctx); err != nil {
		return err
	}
	fmt.Println("6 reconnected after the session was ended: sql.DB")
	return nil
}

func transactions(ctx context.Context, db *sql.DB) error {
	kept, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer kept.Rollback()
	if _, err := kept.ExecContext(ctx, "INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'database/sql')"); err != nil {
		return err
	}
	if err := kept.Commit(); err != nil {
		return err
	}
	undone, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer undone.Rollback()
	if _, err := undone.ExecContext(ctx, "DELETE FROM contacts WHERE name = 'database/sql'"); err != nil {
		return err
	}
	if err := undone.Rollback(); err != nil {
		return err
	}
	result, err := db.ExecContext(ctx, "DELETE FROM contacts WHERE name = 'database/sql'")
	if err != nil {
		return err
	}
	if deleted, err := result.RowsAffected(); err != nil || deleted != 1 {
		return fmt.Errorf("%d contacts instead of one: %w", deleted, err)
	}
	return nil
}

func hasCode(err error, code string) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == code
}
