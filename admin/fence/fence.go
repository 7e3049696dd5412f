// Package fence closes a tenant's database at PostgreSQL itself, so that not
// even a broker that has not heard of it can serve the tenant any more: one that
// hangs, or that has lost the registry.
//
// In goes a tenant, out comes how many of its sessions were ended. Everything is
// one file, nothing runs in the background, and each call owns one connection.
package fence

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/registry"
)

const (
	// limit bounds a call: a session that is deep in the kernel ends late.
	limit = 10 * time.Second
	// pause is between two looks. A session that was let in just before shows
	// up within it.
	pause = 50 * time.Millisecond
	// closeLimit bounds the goodbye.
	closeLimit = 2 * time.Second
)

// A Fence works on the tenants' servers. Safe for concurrent use.
type Fence struct {
	// Connect logs in to a server's maintenance database as the role that
	// administers it.
	Connect func(ctx context.Context, serverID int64) (*pgx.Conn, error)
}

// endSQL ends the sessions of everybody but superusers, whom the admin role may
// not touch, and returns their process ids.
const endSQL = `
SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid)
FROM pg_catalog.pg_stat_activity a
JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
WHERE a.datname = $1 AND a.pid <> pg_catalog.pg_backend_pid() AND NOT r.rolsuper`

// Close lets nobody into the tenant's database any more and ends the sessions
// that are there. It returns how many there were; when it returns without error
// there are none. A database that does not exist is closed.
func (f Fence) Close(ctx context.Context, t registry.Tenant) (ended int, err error) {
	err = f.with(ctx, t, func(ctx context.Context, conn *pgx.Conn) error {
		if err := setLimit(ctx, conn, t.Database, 0); err != nil {
			return err
		}
		ended, err = endSessions(ctx, conn, t.Database)
		return err
	})
	return ended, err
}

// Open lets the tenant's roles in again, up to connections at the same time.
func (f Fence) Open(ctx context.Context, t registry.Tenant, connections int) error {
	return f.with(ctx, t, func(ctx context.Context, conn *pgx.Conn) error {
		return setLimit(ctx, conn, t.Database, connections)
	})
}

func (f Fence) with(ctx context.Context, t registry.Tenant, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the server took longer than %s", limit))
	defer cancel()
	conn, err := f.Connect(ctx, t.ServerID)
	if err == nil {
		defer hangUp(conn)
		err = do(ctx, conn)
	}
	if err != nil {
		return fmt.Errorf("fence of tenant %s at server %s: %w", t.Slug, t.Server, err)
	}
	return nil
}

func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to do about a failed goodbye
}

func setLimit(ctx context.Context, conn *pgx.Conn, database string, connections int) error {
	sql := "ALTER DATABASE " + pgx.Identifier{database}.Sanitize() + " CONNECTION LIMIT " + strconv.Itoa(connections)
	_, err := conn.Exec(ctx, sql)
	if code(err) == pgerrcode.InternalError { // somebody has just updated the same row
		_, err = conn.Exec(ctx, sql)
	}
	if code(err) == pgerrcode.InvalidCatalogName {
		return nil // there is no such database
	}
	return err
}

func code(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}

// endSessions looks until two looks in a row found nobody: a session that passed
// the limit before it was lowered may show up only after the first.
func endSessions(ctx context.Context, conn *pgx.Conn, database string) (int, error) {
	met := map[int32]bool{}
	for empty := 0; empty < 2; {
		found, err := endOnce(ctx, conn, database)
		if err != nil {
			return len(met), err
		}
		empty++
		for _, pid := range found {
			met[pid], empty = true, 0
		}
		select {
		case <-ctx.Done():
			return len(met), context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return len(met), nil
}

func endOnce(ctx context.Context, conn *pgx.Conn, database string) ([]int32, error) {
	rows, err := conn.Query(ctx, endSQL, database)
	if err != nil {
		return nil, err
	}
	pids, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pid int32, err error) {
		err = row.Scan(&pid, nil)
		return pid, err
	})
	if code(err) == pgerrcode.InsufficientPrivilege {
		return nil, fmt.Errorf("end the sessions there: as a superuser, GRANT pg_signal_backend to the admin role: %w", err)
	}
	return pids, err
}
