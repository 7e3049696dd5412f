package broker_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
)

func TestMetricsCountByTenant(t *testing.T) {
	b, address := serveBroker(t, townOfTwo(t))
	c := fakepg.Dial(t, address)
	require.Nil(t, c.Login(0, "right", "user", "one"))
	for range 3 {
		_, failure := c.Query("x")
		require.Nil(t, failure)
	}
	require.NotNil(t, fakepg.Dial(t, address).Login(0, "wrong", "user", "one"))

	problems, err := testutil.CollectAndLint(b.Collector())
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, testutil.CollectAndCompare(b.Collector(), strings.NewReader(`
# HELP dermaga_clients Clients that are logged in, by state: waiting for a server, active on one, or idle.
# TYPE dermaga_clients gauge
dermaga_clients{role="r",state="active",tenant="one"} 0
dermaga_clients{role="r",state="idle",tenant="one"} 1
dermaga_clients{role="r",state="waiting",tenant="one"} 0
# HELP dermaga_connections_accepted_total Connections accepted.
# TYPE dermaga_connections_accepted_total counter
dermaga_connections_accepted_total 2
# HELP dermaga_connections_refused_total Connections refused, by the SQLSTATE they were told.
# TYPE dermaga_connections_refused_total counter
dermaga_connections_refused_total{sqlstate="28P01"} 1
# HELP dermaga_tenant_pools Tenants with open pools.
# TYPE dermaga_tenant_pools gauge
dermaga_tenant_pools 1
# HELP dermaga_transactions_total Transactions ended.
# TYPE dermaga_transactions_total counter
dermaga_transactions_total{role="r",tenant="one"} 3
`), "dermaga_clients", "dermaga_connections_accepted_total", "dermaga_connections_refused_total", "dermaga_tenant_pools", "dermaga_transactions_total"))
}

// What the loops count in powers of two is a native histogram as it is.
func TestDurationsAreNativeHistograms(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	b, address := serveBroker(t, w)
	conn := connect(t, address, "one", "one", "right", simple)
	exec(t, conn, "SELECT pg_sleep(0.3)")
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(b.Collector()))
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "dermaga_transaction_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		require.EqualValues(t, 1, h.GetSampleCount())
		require.GreaterOrEqual(t, h.GetSampleSum(), 0.3)
		require.Less(t, h.GetSampleSum(), 10.0)
		// The bucket of schema 0 whose index is i ends at 2^i seconds.
		require.GreaterOrEqual(t, h.GetPositiveSpan()[0].GetOffset(), int32(-1))
		return
	}
	t.Fatal("no histogram")
}

// Counters outlive the pool's eviction.
func TestCountersSurviveEviction(t *testing.T) {
	w := townOfTwo(t)
	b, address := serveBroker(t, w, func(c *broker.Config) { c.MaxConnections = 1 })
	for _, user := range []string{"one", "two", "one"} {
		c := fakepg.Dial(t, address)
		require.Nil(t, c.Login(0, "right", "user", user))
		_, failure := c.Query("x")
		require.Nil(t, failure)
	}
	stats, err := b.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, stats.Pools[0].Transaction.Count())
	require.EqualValues(t, 1, stats.Pools[0].EvictedIdle)
}
