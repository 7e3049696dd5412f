package fleet_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/internal/dermagatest"
)

func TestKnownTenantsAreServedWhileTheRegistryIsAway(t *testing.T) {
	ctx := bounded(t)
	r := serve(t)
	known := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	stranger := r.settle(ctx, t, client.NewTenant{Slug: "pt-beta"})
	r.end(t) // the next one has never heard of either
	r = serve(t)
	require.NoError(t, try(ctx, known.at(r)))
	c := gather(t)
	c.join(10, known.at(r), "SELECT pg_sleep(0.002)")
	c.more(ctx, t, 100)

	fleet.registry.away(t)
	gone := time.Now()
	require.NoError(t, try(ctx, known.at(r)), "a new client of a known tenant")
	require.Equal(t, http.StatusOK, r.status(ctx, "/ready"), "which a balancer is to send here")
	require.Equal(t, http.StatusOK, r.status(ctx, "/health"))
	var told *pgconn.PgError
	require.ErrorAs(t, try(ctx, stranger.at(r)), &told)
	require.Equal(t, pgerrcode.CannotConnectNow, told.Code)
	require.Equal(t, "the broker cannot reach its registry", told.Message)
	for time.Since(gone) < size(3*time.Second, time.Minute) {
		c.more(ctx, t, 100)
		require.NoError(t, try(ctx, known.at(r)))
	}

	fleet.registry.back(t)
	require.Equal(t, http.StatusOK, r.status(ctx, "/ready"))
	await(ctx, t, "a served stranger", func() bool { return try(ctx, stranger.at(r)) == nil })
	await(ctx, t, "a broker that hears of changes again", func() bool {
		stats, err := r.api.Stats(ctx)
		require.NoError(t, err)
		return slices.ContainsFunc(stats.Instances, func(i client.InstanceStats) bool { return i.Live })
	})
	_, err := r.api.SuspendTenant(ctx, known.Slug, client.Reason{})
	require.NoError(t, err)
	t.Cleanup(func() { r.resume(t, known) })
	await(ctx, t, "the end of its clients", func() bool { return c.blamed()[pgerrcode.AdminShutdown] > 0 })
	c.home()
	for what := range c.blamed() {
		require.Contains(t, []string{pgerrcode.AdminShutdown, pgerrcode.CannotConnectNow}, what)
	}
}

func TestServeWithoutItsRegistrySaysSoAndEnds(t *testing.T) {
	ctx := bounded(t)
	fleet.registry.away(t)
	p, err := dermagatest.Start(fleet.binary, fleet.env, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	err = p.Wait(ctx)
	require.EqualError(t, err, "exit status 1")
	t.Log(p.Log)
	require.Contains(t, p.Log.String(), "open the registry")
	require.NotContains(t, p.Log.String(), fleet.registry.config.Password)
}
