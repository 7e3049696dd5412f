package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// limitServer sets how many connections the tenants' server has for all replicas.
func limitServer(t *testing.T, budget int) {
	t.Helper()
	set := func(n int) {
		fleet.registry.run(t, fmt.Sprintf("UPDATE dermaga.servers SET connection_budget = %d", n))
	}
	set(budget)
	t.Cleanup(func() { set(140) })
}

// shared waits until every live replica, of which there are n, may have the same
// part of the budget.
func shared(ctx context.Context, t *testing.T, asked *replica, n, budget int) {
	t.Helper()
	await(ctx, t, fmt.Sprintf("%d replicas that share %d connections", n, budget), func() bool {
		stats, err := asked.api.Stats(ctx)
		require.NoError(t, err)
		fair := 0
		for _, i := range stats.Instances {
			if i.Live && len(i.Servers) == 1 && i.Servers[0].Share == budget/n {
				fair++
			}
		}
		return fair == n
	})
}

// A sampler looks at PostgreSQL every 10 ms.
type sampler struct {
	stop context.CancelFunc
	gone chan struct{}
	most int   // sessions of tenants at the same time; read only after gone
	all  []int // how often each number was seen
	err  error
}

func sample(t *testing.T, w watch) *sampler {
	s := &sampler{gone: make(chan struct{}), all: make([]int, 200)}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	t.Cleanup(s.end)
	go func() {
		defer close(s.gone)
		tick := time.NewTicker(often)
		defer tick.Stop()
		for {
			n, err := w.sessions(context.WithoutCancel(ctx), "")
			if err != nil {
				s.err = err
				return
			}
			s.most = max(s.most, n)
			s.all[n]++
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return s
}

func (s *sampler) end() {
	s.stop()
	<-s.gone
}

// A replica that is killed leaves its part of the server's connections to nobody
// until it is known to be dead, and the one that takes its place gets it then.
func TestTwoReplicasNeverOpenMoreThanTheServersBudget(t *testing.T) {
	const budget = 20
	ctx := bounded(t)
	a := serve(t)
	limitServer(t, budget)
	b := serve(t)
	onA, onB := gather(t), gather(t)
	for _, slug := range []string{"pt-alfa", "pt-beta", "pt-gama"} { // with pools of 10: more than there is
		tn := a.settle(ctx, t, client.NewTenant{Slug: slug})
		onA.join(8, tn.at(a), "SELECT pg_sleep(0.005)")
		onB.join(8, tn.at(b), "SELECT pg_sleep(0.005)")
	}
	shared(ctx, t, a, 2, budget)
	onB.more(ctx, t, 200)
	seen := sample(t, fleet.databases.watch(t))
	for range size(1, 20) {
		onA.more(ctx, t, size[int64](500, 5000))
		onB.more(ctx, t, size[int64](500, 5000))
		require.NoError(t, b.Kill())
		onA.more(ctx, t, 100)
		b = serveAt(t, b.broker)
		shared(ctx, t, a, 2, budget)
		onB.more(ctx, t, 100)
	}
	onA.home()
	onB.home()
	seen.end()
	require.NoError(t, seen.err)
	t.Logf("transactions: %d and %d; sessions seen: %v", onA.done.Load(), onB.done.Load(), seen.all[:seen.most+1])
	require.LessOrEqual(t, seen.most, budget)
	require.Greater(t, seen.most, budget*3/4, "the budget is there to be used")
	require.Empty(t, onA.blamed(), "nobody killed replica A")
}
