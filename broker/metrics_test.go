package broker_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

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
# HELP dermaga_clients Clients connected.
# TYPE dermaga_clients gauge
dermaga_clients{role="r",tenant="one"} 1
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
