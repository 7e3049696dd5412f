package broker

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
)

// A role has two pools for a while after its password was rotated: one series.
func TestPoolsOfOneRoleAreOneSeries(t *testing.T) {
	got := series([]relay.PoolStats{
		{Slug: "one", Role: "app", Clients: 2, Transaction: times(5)}, {Slug: "one", Role: "app", Clients: 1, Transaction: times(7)}, {Slug: "one", Role: "ro"},
	})
	require.ElementsMatch(t, []relay.PoolStats{{Slug: "one", Role: "app", Clients: 3, Transaction: times(12)}, {Slug: "one", Role: "ro"}}, got)
}

func TestSeriesAreBounded(t *testing.T) {
	var pools []relay.PoolStats
	for n := range maxSeries + 10 {
		pools = append(pools, relay.PoolStats{Slug: fmt.Sprint("t", n), Transaction: times(uint64(n)), Clients: 1})
	}
	got := series(pools)
	require.Len(t, got, maxSeries+1)
	rest := got[maxSeries]
	require.Equal(t, otherSlug, rest.Slug)
	require.Equal(t, 10, rest.Clients)
	require.EqualValues(t, 45, rest.Transaction.Count(), "those with the fewest transactions")
}

// times is a histogram of n durations.
func times(n uint64) (h relay.Histogram) {
	h.Buckets[3] = n
	return h
}
