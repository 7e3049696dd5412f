package fleet_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// Two tenants share a server that has fewer connections than the greedy one alone
// would take. What its clients wait for is time, not processors, so that what is
// measured is how the broker shares connections and not how this machine shares
// its CPUs.
func TestGreedyTenantDoesNotSlowItsNeighbour(t *testing.T) {
	ctx := bounded(t)
	const sql = "SELECT pg_sleep(0.005)"
	greedy, length := size(100, 500), size(4*time.Second, time.Minute)
	r := serve(t)
	big := r.settle(ctx, t, client.NewTenant{Slug: "pt-rakus", PoolSize: 20, MaxClients: 1000})
	small := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	limitServer(t, 12)

	modest := gather(t)
	modest.join(2, small.at(r), sql)
	measure := func() (p50, p99 time.Duration) {
		modest.more(ctx, t, 50)
		modest.forget()
		began := time.Now()
		await(ctx, t, "the end of the measurement", func() bool { return time.Since(began) > length })
		return modest.percentile(0.5), modest.percentile(0.99)
	}
	half, alone := measure()
	shared(ctx, t, r, 1, 12)

	crowd := gather(t)
	crowd.join(greedy, big.at(r), sql)
	crowd.more(ctx, t, int64(2*greedy))
	crowd.forget()
	halfBeside, beside := measure()
	t.Logf("2 clients alone: p50 %s, p99 %s; beside %d greedy ones: p50 %s, p99 %s (%.2f times); %d transactions a second of theirs, %d of the greedy",
		half, alone, greedy, halfBeside, beside, float64(beside)/float64(alone),
		modest.done.Load()/int64(length/time.Second), crowd.done.Load()/int64(length/time.Second))
	modest.home()
	crowd.home()
	require.Empty(t, modest.blamed())
	require.Empty(t, crowd.blamed())
	require.Less(t, beside, 5*alone)
}

// percentile is how long so many of the transactions took at most.
func (c *crowd) percentile(p float64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	took := slices.Sorted(slices.Values(c.took))
	if len(took) == 0 {
		return 0
	}
	return took[int(p*float64(len(took)-1))]
}
