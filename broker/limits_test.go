package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

// servers counts a role's connections at the real server.
func servers(t testing.TB, role string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&n))
	return n
}

func TestLeastRecentlyUsedTenantMakesRoom(t *testing.T) {
	w := newTown()
	var ups []upstream
	for n := range 4 {
		up := realUpstream(t)
		ups = append(ups, up)
		w.settle(fmt.Sprint("t", n), up)
	}
	b, address := serveBroker(t, w, func(c *broker.Config) { c.MaxConnections = 3 })
	var clients []*fakepg.Client
	for n := range ups {
		c := fakepg.Dial(t, address)
		clients = append(clients, c)
		require.Nil(t, c.Login(0, "right", "user", fmt.Sprint("t", n)))
		_, failure := c.Query("SELECT 1")
		require.Nil(t, failure)
	}
	eventually(t, func() bool { return servers(t, ups[0].role) == 0 }, "the first tenant's servers are closed")
	for _, up := range ups[1:] {
		require.Equal(t, 1, servers(t, up.role))
	}
	stats, err := b.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, stats.OpenTenants)
	rows, failure := clients[0].Query("SELECT 1")
	require.Nil(t, failure, "its client was not disconnected and opens it again")
	require.Equal(t, []string{"1"}, rows)
}

func TestNoPlaceForATenantIsSaidWithTheSettingsName(t *testing.T) {
	w := newTown()
	for _, slug := range []string{"busy", "known", "new"} {
		w.settle(slug, realUpstream(t))
	}
	address := serve(t, w, func(c *broker.Config) { c.MaxConnections, c.QueryWaitTimeout = 1, 2*time.Second })
	known, busy := fakepg.Dial(t, address), fakepg.Dial(t, address)
	require.Nil(t, known.Login(0, "right", "user", "known"))
	require.Nil(t, busy.Login(0, "right", "user", "busy"), "it takes the place of the other, which is idle")
	_, failure := busy.Query("BEGIN")
	require.Nil(t, failure)

	again := fakepg.Dial(t, address)
	require.Nil(t, again.Login(0, "right", "user", "known"), "a login needs no server once the tenant's greeting is known")
	refused := make(chan *pgproto3.ErrorResponse, 2)
	go func() {
		_, failure := again.Query("SELECT 1")
		refused <- failure
	}()
	fresh := fakepg.Dial(t, address)
	go func() { refused <- fresh.Login(0, "right", "user", "new") }()
	for range 2 {
		failure := <-refused
		require.NotNil(t, failure)
		require.Equal(t, "53300", failure.Code)
		require.Contains(t, failure.Detail, "MAX_CONNECTIONS = 1")
		require.Contains(t, failure.Hint, "MAX_CONNECTIONS")
	}
}

func TestQueryWaitTimeoutIsSaidWithThePoolsSize(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	w.entries[[2]string{"one", "one"}].Route.PoolSize = 1
	address := serve(t, w, func(c *broker.Config) { c.QueryWaitTimeout = 200 * time.Millisecond })
	busy, waiting := fakepg.Dial(t, address), fakepg.Dial(t, address)
	require.Nil(t, busy.Login(0, "right", "user", "one"))
	_, failure := busy.Query("BEGIN")
	require.Nil(t, failure)
	require.Nil(t, waiting.Login(0, "right", "user", "one"))
	_, failure = waiting.Query("SELECT 1")
	require.NotNil(t, failure)
	require.Equal(t, "53300", failure.Code)
	require.Contains(t, failure.Detail, "pool_size = 1")
	require.Contains(t, failure.Hint, "pool_size")
}

func TestQueryWaitTimeoutIsSaidWithTheServersConnections(t *testing.T) {
	w := newTown()
	for _, slug := range []string{"one", "new"} {
		w.settle(slug, realUpstream(t))
		w.alter(slug, slug, func(e *registry.Entry) { e.Route.PoolSize, e.Route.Server.ConnectionBudget = 2, 1 })
	}
	address := serve(t, w, func(c *broker.Config) { c.QueryWaitTimeout = 200 * time.Millisecond })
	busy, waiting := fakepg.Dial(t, address), fakepg.Dial(t, address)
	require.Nil(t, busy.Login(0, "right", "user", "one"))
	_, failure := busy.Query("BEGIN")
	require.Nil(t, failure)
	require.Nil(t, waiting.Login(0, "right", "user", "one"))
	_, query := waiting.Query("SELECT 1")
	login := fakepg.Dial(t, address).Login(0, "right", "user", "new")
	for _, failure := range []*pgproto3.ErrorResponse{query, login} {
		require.NotNil(t, failure)
		require.Equal(t, "53300", failure.Code)
		require.Contains(t, failure.Detail, "the tenant's PostgreSQL server (1)")
		require.NotContains(t, failure.Hint, "pool_size")
	}
}
