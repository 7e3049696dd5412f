package fleet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// A cancel request is a connection of its own, so a balancer may send it to any
// replica.
func TestCancelSentToTheOtherReplicaReachesItsQueryAndNoOther(t *testing.T) {
	ctx := bounded(t)
	a, b := serve(t), serve(t)
	tn := a.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	w := fleet.databases.watch(t)

	// The bystanders' statements end when the test lets go of a lock.
	const bystander, target = "pg_advisory_xact_lock_shared(12)", "pg_advisory_xact_lock(12)"
	lock := fleet.databases.connectTo(t, tn.Database)
	_, err := lock.Exec(ctx, "SELECT pg_advisory_lock(12)")
	require.NoError(t, err)
	var waiting []<-chan error
	for range 3 {
		for _, r := range []*replica{a, b} {
			waiting = append(waiting, begin(guest(ctx, t, tn.at(r)), "SELECT "+bystander))
		}
	}
	victim := guest(ctx, t, tn.at(b))
	w.running(ctx, t, len(waiting), bystander)

	for round := range size(3, 300) {
		sql := fmt.Sprintf("SELECT %s /* %d. */", target, round)
		query := begin(victim, sql)
		w.running(ctx, t, 1, fmt.Sprintf("/* %d. */", round))
		cancelAt(ctx, t, a, victim)
		require.Equal(t, pgerrcode.QueryCanceled, reason(outcome(ctx, t, query)))
		require.NoError(t, run(victim, "SELECT 1"), "the connection lives on")
	}
	w.running(ctx, t, len(waiting), bystander)

	_, err = lock.Exec(ctx, "SELECT pg_advisory_unlock(12)")
	require.NoError(t, err)
	for _, query := range waiting {
		require.NoError(t, outcome(ctx, t, query))
	}
}

// cancelAt sends r the cancel request of a connection, and returns when r has
// dealt with it.
func cancelAt(ctx context.Context, t *testing.T, r *replica, of *pgconn.PgConn) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.broker)
	require.NoError(t, err)
	defer conn.Close()
	message, err := (&pgproto3.CancelRequest{ProcessID: of.PID(), SecretKey: of.SecretKey()}).Encode(nil)
	require.NoError(t, err)
	_, err = conn.Write(message)
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
}
