package fleet_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/admin/client"
)

// fenceLimit is how long a suspended tenant's transactions may go on at a replica
// that does not answer.
const fenceLimit = 2 * time.Second

func TestSuspensionReachesAReplicaThatIsStopped(t *testing.T) {
	ctx := bounded(t)
	a, b := serve(t), serve(t)
	tn := a.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	w := fleet.databases.watch(t)
	t.Cleanup(func() { a.resume(t, tn) })

	reader, writer, idle := guest(ctx, t, tn.at(b)), guest(ctx, t, tn.at(b)), guest(ctx, t, tn.at(b))
	require.NoError(t, run(idle, "SELECT 1"))
	require.NoError(t, run(writer, "BEGIN; INSERT INTO contacts (kind, name) VALUES ('OTHER', 'never committed')"))
	reads := begin(reader, "SELECT pg_sleep(50)")
	w.running(ctx, t, 1, "pg_sleep(50)")

	require.NoError(t, b.Signal(syscall.SIGSTOP))
	began := time.Now()
	moved := make(chan error, 1)
	var answer client.Moved
	go func() {
		var err error
		answer, err = a.api.SuspendTenant(ctx, tn.Slug, client.Reason{Reason: "unpaid"})
		moved <- err
	}()
	await(ctx, t, "the end of the tenant's sessions", func() bool {
		n, err := w.sessions(ctx, tn.Database)
		require.NoError(t, err)
		return n == 0
	})
	took := time.Since(began)
	require.NoError(t, <-moved)
	t.Logf("PostgreSQL had ended the transactions after %s", took)
	require.Less(t, took, fenceLimit)
	require.True(t, answer.Fence.Closed)
	require.Empty(t, answer.Fence.Error)
	acknowledged := 0
	for _, i := range answer.Instances {
		if i.Acknowledged {
			acknowledged++
		}
	}
	require.Equal(t, 1, acknowledged, "B could not: %+v", answer.Instances)

	require.NoError(t, b.Signal(syscall.SIGCONT))
	var told *pgconn.PgError
	require.Error(t, outcome(ctx, t, reads))
	require.Error(t, run(writer, "COMMIT"))
	await(ctx, t, "replica B, that knows of the suspension", func() bool {
		err := try(ctx, tn.at(b)) // it may not know yet; PostgreSQL does, and the registry when asked
		require.Error(t, err, "replica B serves a suspended tenant")
		require.NotEqual(t, pgerrcode.TooManyConnections, reason(err), "PostgreSQL's fence is no lack of connections")
		return errors.As(err, &told) && told.Code == pgerrcode.CannotConnectNow && told.Detail == "unpaid"
	})
	require.Error(t, run(idle, "SELECT 1"))
	n, err := w.sessions(ctx, tn.Database)
	require.NoError(t, err)
	require.Zero(t, n)

	// Resumed, both serve, and what was not committed is not there.
	a.resume(t, tn)
	for _, r := range []*replica{a, b} {
		require.NoError(t, run(guest(ctx, t, tn.at(r)), `DO $$ BEGIN
			IF EXISTS (SELECT FROM contacts WHERE name = 'never committed') THEN RAISE 'it was committed'; END IF; END $$`))
	}
}

// resume lets the tenant's clients in again. That they may come already is no
// error.
func (r *replica) resume(t *testing.T, tn tenant) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	_, err := r.api.ResumeTenant(ctx, tn.Slug, client.Reason{Reason: "paid"})
	require.NoError(t, err)
}

// Whatever of two contradicting orders is the later one, everything comes to it:
// both replicas, and PostgreSQL.
func TestContradictingOrdersToTwoReplicasEndAsTheRegistrySays(t *testing.T) {
	ctx := bounded(t)
	a, b := serve(t), serve(t)
	tn := a.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	t.Cleanup(func() { a.resume(t, tn) })
	db := fleet.databases.connect(t)

	ended := map[string]int{}
	for range size(4, 40) {
		var orders errgroup.Group
		orders.Go(func() error {
			_, err := a.api.SuspendTenant(ctx, tn.Slug, client.Reason{})
			return err
		})
		orders.Go(func() error {
			_, err := b.api.ResumeTenant(ctx, tn.Slug, client.Reason{})
			return err
		})
		require.NoError(t, orders.Wait())
		now, err := b.api.Tenant(ctx, tn.Slug)
		require.NoError(t, err)
		ended[now.Status]++
		serves := now.Status == "ACTIVE"

		var limit int
		require.NoError(t, db.QueryRow(ctx, "SELECT datconnlimit FROM pg_database WHERE datname = $1", tn.Database).Scan(&limit))
		require.Equal(t, serves, limit != 0, "%s, and PostgreSQL lets %d in", now.Status, limit)
		for name, r := range map[string]*replica{"A": a, "B": b} {
			err := try(ctx, tn.at(r))
			if serves {
				require.NoError(t, err, "replica %s, %s", name, now.Status)
			} else {
				require.Error(t, err, "replica %s, %s", name, now.Status)
				require.Equal(t, pgerrcode.CannotConnectNow, reason(err))
			}
		}
	}
	t.Logf("the later order: %v", ended)
}

// try runs one statement on a connection of its own.
func try(ctx context.Context, url string) error {
	conn, err := dial(ctx, url)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	return run(conn, "SELECT 1")
}
