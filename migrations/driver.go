package migrations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// lockTimeout is how long a file waits for a lock that clients hold, and a
	// run for another run, before it gives up with 55P03.
	lockTimeout = 2 * time.Second
	// cleanupTimeout bounds what is still to be said to the server after the
	// caller's context has ended.
	cleanupTimeout = 5 * time.Second
)

var _ database.Driver = (*driver)(nil)

// A driver lets golang-migrate work on one pgx connection. A file and its entry
// in schema_migrations commit together: Run begins the transaction, and
// SetVersion(v, false) writes the entry and commits.
//
// golang-migrate locks, unlocks and asks for the version at every step; here a
// run (see Set.Up) does so once, and the methods it calls only remember.
type driver struct {
	ctx     context.Context // of the one run this driver lives for
	conn    *pgx.Conn
	table   pgx.Identifier
	path    string // search_path while a file runs
	wait    time.Duration
	version int // database.NilVersion: no file yet
	pending int // what SetVersion(v, true) announced
}

// lock takes the advisory lock that golang-migrate's own drivers would take, so
// that its command line tool waits for us too, and reads the version.
func (d *driver) lock() error {
	if s := d.conn.PgConn().TxStatus(); s != 'I' {
		return fmt.Errorf("connection is inside a transaction (status %c)", s)
	}
	key, err := database.GenerateAdvisoryLockId(d.conn.Config().Database, d.table...)
	if err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	// A session lock: it outlasts this transaction, which is there for SET LOCAL.
	err = d.lockAndRead(key)
	if err != nil {
		return d.rollback(err)
	}
	if _, err := d.conn.Exec(d.ctx, "COMMIT"); err != nil {
		return err
	}
	return nil
}

func (d *driver) lockAndRead(key string) error {
	if _, err := d.conn.Exec(d.ctx, "SELECT pg_catalog.pg_advisory_lock($1::text::bigint)", key); err != nil {
		return fmt.Errorf("another migration run holds the lock: %w", err)
	}
	var exists bool
	err := d.conn.QueryRow(d.ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", d.table.Sanitize()).Scan(&exists)
	if err != nil {
		return err
	}
	d.version = database.NilVersion
	if !exists {
		return d.createTable()
	}
	var dirty bool
	err = d.conn.QueryRow(d.ctx, "SELECT version, dirty FROM "+d.table.Sanitize()).Scan(&d.version, &dirty)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case dirty:
		return fmt.Errorf("version %d is marked dirty, which only another tool than this one does: repair the schema, then set dirty = false in %s",
			d.version, d.table.Sanitize())
	}
	return nil
}

// createTable makes the version table, and its schema. Default privileges of the schema may have
// given a tenant's role the right to write it: only its owner keeps that.
func (d *driver) createTable() error {
	const revokeWrites = `DO $$
DECLARE g record;
BEGIN
  FOR g IN SELECT DISTINCT a.grantee::pg_catalog.regrole AS who
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    WHERE c.oid = %[1]s::pg_catalog.regclass AND a.grantee NOT IN (0, c.relowner) LOOP
    EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %%s FROM %%s', %[1]s::pg_catalog.regclass, g.who);
  END LOOP;
END $$`
	if schema := d.table[0]; schema != "public" {
		if _, err := d.conn.Exec(d.ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
			return err
		}
	}
	t := d.table.Sanitize()
	_, err := d.conn.Exec(d.ctx, "CREATE TABLE "+t+" (version bigint PRIMARY KEY, dirty boolean NOT NULL)")
	if err != nil {
		return err
	}
	_, err = d.conn.Exec(d.ctx, fmt.Sprintf(revokeWrites, "'"+t+"'")) // two identifiers of our own: nothing to escape
	return err
}

// unlock gives the lock back, also when the caller's context has ended.
func (d *driver) unlock() error {
	if d.conn.IsClosed() {
		return nil // the lock went with it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), cleanupTimeout)
	defer cancel()
	key, err := database.GenerateAdvisoryLockId(d.conn.Config().Database, d.table...)
	if err != nil {
		return err
	}
	_, err = d.conn.Exec(ctx, "SELECT pg_catalog.pg_advisory_unlock($1::text::bigint)", key)
	return err
}

// begin opens a transaction with the settings that end with it.
func (d *driver) begin() error {
	_, err := d.conn.PgConn().Exec(d.ctx, "BEGIN; SET LOCAL lock_timeout = "+
		strconv.FormatInt(d.wait.Milliseconds(), 10)+"; SET LOCAL search_path = "+d.path).ReadAll()
	return err
}

// rollback ends the transaction and returns why.
func (d *driver) rollback(cause error) error {
	if d.conn.IsClosed() {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), cleanupTimeout)
	defer cancel()
	if _, err := d.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// Run executes a file, in the transaction that SetVersion will commit. It reads
// the file to its end first, even where it fails: golang-migrate feeds it
// through a pipe from a goroutine that would wait for ever.
func (d *driver) Run(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := d.ctx.Err(); err != nil {
		return context.Cause(d.ctx)
	}
	if err := d.begin(); err != nil {
		return err
	}
	if _, err := d.conn.PgConn().Exec(d.ctx, string(text)).ReadAll(); err != nil {
		return d.rollback(located(err, text))
	}
	if s := d.conn.PgConn().TxStatus(); s != 'T' {
		return fmt.Errorf("file ends its own transaction: it must not contain COMMIT or ROLLBACK")
	}
	return nil
}

// SetVersion is told the target before a file (dirty) and after it.
func (d *driver) SetVersion(version int, dirty bool) error {
	if dirty {
		d.pending = version
		return nil
	}
	sql := "WITH gone AS (DELETE FROM " + d.table.Sanitize() + ") INSERT INTO " + d.table.Sanitize() + " VALUES ($1, false)"
	args := []any{version}
	if version == database.NilVersion {
		sql, args = "DELETE FROM "+d.table.Sanitize(), nil
	}
	if _, err := d.conn.Exec(d.ctx, sql, args...); err != nil {
		return d.rollback(err)
	}
	if _, err := d.conn.Exec(d.ctx, "COMMIT"); err != nil { // deferred constraints fail here, and roll back
		return err
	}
	d.version = d.pending
	return nil
}

// Version returns what lock has read and SetVersion has written since.
func (d *driver) Version() (int, bool, error) { return d.version, false, nil }

// Lock does nothing: the run holds the lock already.
func (d *driver) Lock() error { return nil }

// Unlock does nothing: the run gives the lock back at its end.
func (d *driver) Unlock() error { return nil }

// Close does nothing: the connection is the caller's.
func (d *driver) Close() error { return nil }

// Open is for drivers that are found by URL; this one never is, so that no
// password ever stands in one.
func (d *driver) Open(string) (database.Driver, error) {
	return nil, errors.New("this driver works on a connection, not on a URL")
}

// Drop would delete a tenant's data.
func (d *driver) Drop() error { return errors.New("this driver drops nothing") }

// located adds the line in the file at which PostgreSQL stopped.
func located(err error, text []byte) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Position <= 0 {
		return err
	}
	line, chars := 1, int32(1)
	for _, r := range string(text) { // Position counts characters, from 1
		if chars >= pg.Position {
			break
		}
		if chars++; r == '\n' {
			line++
		}
	}
	return fmt.Errorf("line %d: %w", line, err)
}
