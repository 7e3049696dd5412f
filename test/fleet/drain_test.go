package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// ledger is what clients know of their transactions: of each that had begun, how
// it ended.
type ledger struct {
	begun, committed atomic.Int64

	mu     sync.Mutex
	failed []error
	ends   map[string]int // what ended clients between transactions
}

// post posts until the connection is ended between two transactions.
func (l *ledger) post(ctx context.Context, url, mark string) {
	conn, err := dial(ctx, url)
	if err != nil {
		l.fail(fmt.Errorf("before the end was asked for: %w", err))
		return
	}
	defer hangUp(conn)
	for {
		if err := run(conn, "BEGIN"); err != nil {
			l.mu.Lock()
			l.ends[reason(err)]++
			l.mu.Unlock()
			return
		}
		l.begun.Add(1)
		for _, sql := range []string{
			"INSERT INTO contacts (kind, name) VALUES ('OTHER', '" + mark + "')", "SELECT pg_sleep(0.02)", "COMMIT",
		} {
			if err := run(conn, sql); err != nil {
				l.fail(fmt.Errorf("%s: %w", sql, err))
				return
			}
		}
		l.committed.Add(1)
	}
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, err)
}

func TestSigtermUnderLoadFailsNoTransactionThatHadBegun(t *testing.T) {
	ctx := bounded(t)
	for round := range size(1, 10) {
		r := serve(t)
		w := fleet.databases.watch(t)
		mark := fmt.Sprintf("drain %d", round)
		l := &ledger{ends: map[string]int{}}
		var posting sync.WaitGroup
		var idle []*pgconn.PgConn
		var tenants []tenant
		for _, slug := range []string{"pt-alfa", "pt-beta"} {
			tn := r.settle(ctx, t, client.NewTenant{Slug: slug})
			tenants = append(tenants, tn)
			for range 25 { // more than servers: some wait
				posting.Go(func() { l.post(ctx, tn.at(r), mark) })
			}
			for range 5 {
				idle = append(idle, guest(ctx, t, tn.at(r)))
			}
		}
		await(ctx, t, "load", func() bool { return l.committed.Load() >= 200 })

		began := time.Now()
		require.NoError(t, r.Signal(syscall.SIGTERM))
		for _, conn := range idle {
			require.Equal(t, pgerrcode.AdminShutdown, farewell(ctx, t, conn))
		}
		posting.Wait()
		require.NoError(t, r.Wait(ctx), "it ends well")
		t.Logf("%d transactions, %d while it drained for %s; clients ended by %v", l.committed.Load(), l.begun.Load(), time.Since(began), l.ends)
		require.Empty(t, l.failed)
		require.Equal(t, map[string]int{pgerrcode.AdminShutdown: 50}, l.ends)
		w.empty(ctx, t)

		var rows int64
		for _, tn := range tenants {
			var n int64
			db := fleet.databases.connectTo(t, tn.Database)
			require.NoError(t, db.QueryRow(ctx, "SELECT count(*) FROM contacts WHERE name = $1", mark).Scan(&n))
			require.NoError(t, db.Close(ctx))
			rows += n
		}
		require.Equal(t, l.committed.Load(), rows, "each transaction is there once")
	}
}

// farewell waits for what the server says to an idle client at its end: the
// SQLSTATE.
func farewell(ctx context.Context, t *testing.T, conn *pgconn.PgConn) string {
	t.Helper()
	for {
		_, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return reason(err)
		}
	}
}

func TestASecondSignalEndsAReplicaAtOnce(t *testing.T) {
	ctx := bounded(t)
	r := serve(t, "--drain-timeout", "5m")
	// The next test is not to wait until its part of the budget is free.
	t.Cleanup(func() { fleet.registry.run(t, "DELETE FROM dermaga.instances") })
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	busy := guest(ctx, t, tn.at(r))
	require.NoError(t, run(busy, "BEGIN; SELECT 1"))
	require.NoError(t, r.Signal(syscall.SIGTERM))
	_, err := r.Log.Await(ctx, "drain_begins", nil)
	require.NoError(t, err)
	await(ctx, t, "/ready that says no", func() bool { return r.status(ctx, "/ready") == http.StatusServiceUnavailable })
	require.NoError(t, run(busy, "SELECT 1"), "it waits for the transaction")

	require.NoError(t, r.Signal(syscall.SIGTERM))
	require.Error(t, r.Wait(ctx), "it says that it did not end well")
	require.Error(t, run(busy, "COMMIT"))
	fleet.databases.watch(t).empty(ctx, t)
}
