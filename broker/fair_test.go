package broker_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/registry"
)

// long makes tests of fairness as large and long as their claim; without it they
// are the same in small. make soak sets it.
var long = flag.Bool("long", false, "run tests of fairness at full size and length")

// busyTenants has every tenant's clients run transactions until ctx ends, and
// returns how many each tenant had. A transaction that fails fails the test.
func busyTenants(ctx context.Context, t *testing.T, address string, slugs []string, clients int) []int64 {
	done := make([]atomic.Int64, len(slugs))
	var all sync.WaitGroup
	for n, slug := range slugs {
		for range clients {
			all.Go(func() {
				conn, err := pgx.Connect(context.Background(), fmt.Sprintf("postgres://%s:right@%s/%[1]s?sslmode=disable&default_query_exec_mode=simple_protocol", slug, address))
				if err != nil {
					t.Errorf("%s: %v", slug, err)
					return
				}
				defer conn.Close(context.Background())
				for ctx.Err() == nil {
					if _, err := conn.Exec(context.Background(), "SELECT pg_sleep(0.001)"); err != nil {
						t.Errorf("%s: %v", slug, err)
						return
					}
					done[n].Add(1)
				}
			})
		}
	}
	all.Wait()
	out := make([]int64, len(slugs))
	for n := range done {
		out[n] = done[n].Load()
	}
	return out
}

// manyTenants settles n tenants, all in one database: what they compete for is
// the broker's, not PostgreSQL's.
func manyTenants(t *testing.T, n int) (*town, []string, upstream) {
	w, up := newTown(), realUpstream(t)
	var slugs []string
	for i := range n {
		slug := fmt.Sprint("t", i)
		w.settle(slug, up)
		slugs = append(slugs, slug)
	}
	return w, slugs, up
}

// half requires that nobody had less than half of an equal share.
func half(t *testing.T, done []int64) {
	t.Helper()
	var sum int64
	for _, n := range done {
		sum += n
	}
	for i, n := range done {
		require.GreaterOrEqual(t, 2*n*int64(len(done)), sum, "tenant %d had %d of %d transactions: %v", i, n, sum, done)
	}
}

func TestMoreBusyTenantsThanPlacesTakeTurns(t *testing.T) {
	tenants, places, length := 8, 5, 6*time.Second
	if *long {
		tenants, places, length = 60, 50, 2*time.Minute
	}
	w, slugs, _ := manyTenants(t, tenants)
	b, address := serveBroker(t, w, func(c *broker.Config) { c.MaxConnections, c.QueryWaitTimeout = places, 30*time.Second })
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	half(t, busyTenants(ctx, t, address, slugs, 2))

	stats, err := b.Stats(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, stats.OpenTenants, places)
	var turns uint64
	longest := time.Duration(0)
	for _, p := range stats.Pools {
		turns += p.EvictedTurn
		for i, n := range p.Wait.Buckets {
			if n > 0 {
				longest = max(longest, 1<<i)
			}
		}
	}
	perSecond := float64(turns) / length.Seconds()
	t.Logf("%d tenants on %d places for %s: %.1f turns a second, no wait above %s", tenants, places, length, perSecond, longest)
	require.Positive(t, turns)
	require.Less(t, perSecond, float64(4*(tenants-places)+4), "a turn lasts a quarter of a second, and one is taken for each that waits")
}

func TestTenantsShareAServersConnectionsByWeight(t *testing.T) {
	tenants, budget, length := 6, 4, 6*time.Second
	if *long {
		tenants, budget, length = 40, 20, time.Minute
	}
	w, slugs, up := manyTenants(t, tenants)
	for i, slug := range slugs {
		w.alter(slug, slug, func(e *registry.Entry) {
			e.Route.Server.ConnectionBudget = budget
			e.Route.Weight = 1 + 3*(i%2)
		})
	}
	_, address := serveBroker(t, w, func(c *broker.Config) { c.QueryWaitTimeout = 30 * time.Second })
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	over := make(chan int)
	go func() {
		most := 0
		for ctx.Err() == nil {
			most = max(most, servers(t, up.role))
		}
		over <- most
	}()
	done := busyTenants(ctx, t, address, slugs, 4)
	require.LessOrEqual(t, <-over, budget)
	var light, heavy []int64
	for i, n := range done {
		if i%2 == 0 {
			light = append(light, n)
		} else {
			heavy = append(heavy, n)
		}
	}
	t.Logf("%d tenants on %d connections for %s: weight 1 had %v transactions, weight 4 had %v", tenants, budget, length, light, heavy)
	half(t, light)
	half(t, heavy)
	require.Greater(t, slices.Min(heavy), slices.Max(light), "who has more weight gets more")
}
