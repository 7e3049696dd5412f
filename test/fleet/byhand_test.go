package fleet_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// What people do to a tenant at its server, past Dermaga.

// loginRetry is the default pause before a server is asked again that refused a
// login for good.
const loginRetry = 15 * time.Second

func TestADroppedDatabaseIsNamedAndNotDialledForEver(t *testing.T) {
	ctx := bounded(t)
	r := serve(t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: fmt.Sprintf("pt-dropped-%d", time.Now().UnixNano())})
	neighbour := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	conn := guest(ctx, t, tn.at(r))
	require.NoError(t, run(conn, "SELECT 1"))

	fleet.databases.run(t, "DROP DATABASE "+tn.Database+" WITH (FORCE)")
	began := time.Now()
	require.Error(t, run(conn, "SELECT 1"))
	var clients sync.WaitGroup
	answers := make(chan error, 1000)
	for range 10 {
		clients.Go(func() {
			for range size(10, 100) {
				answers <- try(ctx, tn.at(r))
			}
		})
	}
	clients.Wait()
	close(answers)
	tried := 0
	for err := range answers {
		var told *pgconn.PgError
		require.ErrorAs(t, err, &told)
		require.Equal(t, pgerrcode.InvalidCatalogName, told.Code)
		require.Contains(t, told.Message, tn.Slug)
		require.Contains(t, told.Hint, "its database is not there any more")
		tried++
	}
	dialled := fleet.databases.logLines(t, fmt.Sprintf("database %q does not exist", tn.Database))
	took := time.Since(began)
	t.Logf("%d clients in %s, %d logins at PostgreSQL", tried, took, dialled)
	require.Positive(t, dialled)
	// Those that had begun to dial when the first was refused, and one each time
	// that the server is asked again.
	require.LessOrEqual(t, dialled, 10+1+int(took/loginRetry))
	require.NoError(t, try(ctx, neighbour.at(r)), "its neighbours are served")
}

func TestARolesPasswordChangedByHandIsRepaired(t *testing.T) {
	ctx := bounded(t)
	r := serve(t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	conn := guest(ctx, t, tn.at(r))
	w := fleet.databases.watch(t)

	before := repairs(ctx, t, r, tn)
	fleet.databases.run(t, "ALTER ROLE "+tn.role()+" PASSWORD 'changed by hand'")
	_, err := w.conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", tn.Database)
	require.NoError(t, err)
	w.empty(ctx, t)

	c := gather(t)
	c.join(20, tn.at(r), "SELECT pg_sleep(0.002)")
	require.NoError(t, run(conn, "SELECT 1"), "it waits for the repair")
	c.more(ctx, t, 200)
	c.home()
	require.Empty(t, c.blamed())
	require.Equal(t, before+1, repairs(ctx, t, r, tn), "one for all who wait")
}

// repairs counts those of the tenant's passwords that have been set again.
func repairs(ctx context.Context, t *testing.T, r *replica, tn tenant) (n int) {
	t.Helper()
	all, err := r.api.Activities(ctx, tn.Slug, 0)
	require.NoError(t, err)
	for _, act := range all {
		if act.Action == "credential.repair" {
			require.Equal(t, "ok", act.Outcome)
			require.NotContains(t, act.Message, "changed by hand")
			n++
		}
	}
	return n
}
