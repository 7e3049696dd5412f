package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
	"github.com/nusajournal/dermaga/registry"
)

// private is a PostgreSQL that a test may stop: another than the others use.
func private(t *testing.T) (start func() *privatepg.Server) {
	t.Helper()
	// Below /tmp: the user that PostgreSQL runs as has to get there.
	dir, err := os.MkdirTemp("/tmp", "dermaga-restart-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	port := 0
	return func() *privatepg.Server {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s, err := privatepg.Start(ctx, privatepg.Config{Data: dir, Port: port, Password: "upstream"})
		require.NoError(t, err)
		port = s.Port()
		t.Cleanup(func() { _ = s.Stop() })
		return s
	}
}

// PostgreSQL restarts under 100 clients: idle ones notice nothing; one that had a
// transaction is told how it ended; logins and queries that come while there is
// no server wait for it; and what was said to be committed is there.
func TestServerRestartsUnderItsClients(t *testing.T) {
	const busy, idle = 80, 20
	start := private(t)
	server := start()
	admin(t, server.URL(), `CREATE TABLE ledger (entry text PRIMARY KEY)`)
	w := newTown()
	w.settle("one", upstream{
		server:   registry.Server{ID: 7, Name: "private", Host: server.Host(), Port: server.Port(), SSLMode: "disable"},
		database: "postgres", role: "postgres", password: "upstream",
	})
	address := serve(t, w)
	var resting []*pgx.Conn
	for range idle {
		resting = append(resting, connect(t, address, "one", "one", "right", simple))
	}

	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var committed sync.Map
	var done, lost atomic.Int64
	for n := range busy {
		all.Go(func() {
			var conn *pgx.Conn
			for i := 0; ctx.Err() == nil; i++ {
				var err error
				if conn == nil {
					if conn, err = tryConnect(context.Background(), address, "one", "one", "right", simple); err != nil {
						t.Errorf("log in: %v", err)
						return
					}
				}
				entry := fmt.Sprint(n, "-", i)
				_, err = conn.Exec(context.Background(), "INSERT INTO ledger VALUES ('"+entry+"')")
				if err == nil {
					committed.Store(entry, true)
					done.Add(1)
					continue
				}
				lost.Add(1)
				var failure *pgconn.PgError
				if !errors.As(err, &failure) || failure.Code != "57P01" && failure.Code != "08006" {
					t.Errorf("insert: %v", err)
				}
				_ = conn.Close(context.Background())
				conn = nil
			}
			_ = conn.Close(context.Background())
		})
	}
	eventually(t, func() bool { return done.Load() > busy }, "busy")
	require.NoError(t, server.Stop())
	before := done.Load()
	start()
	eventually(t, func() bool { return done.Load() > before+busy }, "busy again")
	stop()
	all.Wait()
	t.Logf("%d committed, %d told that they were not", done.Load(), lost.Load())

	check, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer check.Close(context.Background())
	rows, err := check.Query(t.Context(), `SELECT entry FROM ledger`)
	require.NoError(t, err)
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, entry := range there {
		committed.Delete(entry)
	}
	committed.Range(func(entry, _ any) bool {
		t.Errorf("%v was committed, and is not there", entry)
		return true
	})
	for _, conn := range resting {
		exec(t, conn, "SELECT 1")
	}
}
