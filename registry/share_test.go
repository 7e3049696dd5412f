package registry_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

// A taker uses connections of one server as its share allows: as many as it
// wants, if it is greedy.
type taker struct {
	r *registry.Registry

	all *account // of all takers of the server; may be nil

	mu    sync.Mutex
	wants int
	share int
	used  int
}

// An account counts the connections of a server as PostgreSQL would: it sees
// each open and close in its order, which samples of several takers would not.
type account struct {
	mu         sync.Mutex
	open, most int
}

func (a *account) add(n int) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += n
	a.most = max(a.most, a.open)
}

func (a *account) peak() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.most
}

// use opens or closes connections until there are n; k.mu is held.
func (k *taker) use(n int) {
	k.all.add(n - k.used)
	k.used = n
}

func takes(t testing.TB, r *registry.Registry, wants int) *taker {
	t.Helper()
	return takesOf(t, nil, r, wants)
}

func takesOf(t testing.TB, all *account, r *registry.Registry, wants int) *taker {
	t.Helper()
	k := &taker{r: r, all: all, wants: wants}
	require.NoError(t, r.Shares(within(t, 30*time.Second), k.usedNow, k.set))
	return k
}

func (k *taker) usedNow(int64) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used
}

// set opens what the new share allows. It closes nothing: that takes time.
func (k *taker) set(_ int64, connections int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.share = connections
	k.use(max(k.used, min(k.wants, k.share)))
}

// close lets n connections go; as many as the share allows are opened again.
func (k *taker) close(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.use(max(k.used-n, 0))
	k.use(max(k.used, min(k.wants, k.share)))
}

func (k *taker) want(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wants = n
	k.use(min(k.used, n))
}

func (k *taker) has() (share, used int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.share, k.used
}

func (k *taker) gets(t testing.TB, share int) {
	t.Helper()
	soon(t, "a share of "+string(rune('0'+share/10))+string(rune('0'+share%10)), func() bool {
		has, _ := k.has()
		return has == share
	})
}

// divided is a registry with one server of that budget.
func divided(t testing.TB, budget int) (url string, db *pgx.Conn) {
	t.Helper()
	url = migrated(t)
	r := open(t, config(t, url))
	_, err := r.AddServer(t.Context(), registry.NewServer{Name: "main", Host: "db1", ConnectionBudget: budget, AdminRole: "admin", AdminPassword: "pw"})
	require.NoError(t, err)
	return url, connect(t, url)
}

func TestOneBrokerHasTheWholeBudgetAtOnce(t *testing.T) {
	t.Parallel()
	url, db := divided(t, 20)
	k := takes(t, broker(t, url), 100)
	share, used := k.has()
	require.Equal(t, 20, share)
	require.Equal(t, 20, used)

	exec(t, db, "UPDATE dermaga.servers SET connection_budget = 30")
	k.gets(t, 30)
	exec(t, db, "UPDATE dermaga.servers SET connection_budget = 10")
	k.gets(t, 10)
	k.close(20)
	soon(t, "what is closed is given up", func() bool { return leased(t, db) == 10 })
	exec(t, db, "INSERT INTO dermaga.servers (name, host, connection_budget) VALUES ('other', 'db2', 7)")
	k.gets(t, 7) // of the newest server
}

func leased(t testing.TB, db *pgx.Conn) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), "SELECT sum(connections) FROM dermaga.server_leases").Scan(&n))
	return n
}

func TestNewcomerGetsWhatOthersHaveGivenUp(t *testing.T) {
	t.Parallel()
	url, db := divided(t, 20)
	a := takes(t, broker(t, url), 100)
	b := takes(t, broker(t, url), 100)
	_, used := b.has()
	require.Zero(t, used, "a has all of it")
	a.gets(t, 10)
	require.Equal(t, 20, leased(t, db))
	_, used = b.has()
	require.Zero(t, used, "a's share is smaller, and still in use")
	a.close(4)
	b.gets(t, 4)
	a.close(20)
	b.gets(t, 10)

	third := takes(t, broker(t, url), 100)
	soon(t, "20 = 7 + 7 + 6", func() bool {
		for _, k := range []*taker{a, b, third} {
			k.close(1)
		}
		x, _ := a.has()
		y, _ := b.has()
		z, _ := third.has()
		return x+y+z == 20 && min(x, y, z) == 6
	})
	b.r.Close()
	soon(t, "who leaves makes room", func() bool {
		x, _ := a.has()
		z, _ := third.has()
		return x == 10 && z == 10
	})
}

func TestDrainingBrokerGivesUpWhatItDoesNotUse(t *testing.T) {
	t.Parallel()
	url, _ := divided(t, 20)
	a := takes(t, broker(t, url), 0)
	b := takes(t, broker(t, url), 100)
	a.gets(t, 10)
	b.gets(t, 10)
	a.want(3)
	a.set(0, 10)
	require.NoError(t, a.r.SetDraining(t.Context(), true))
	a.gets(t, 3)
	b.gets(t, 17)
	a.want(0)
	b.gets(t, 20)
	require.NoError(t, a.r.SetDraining(t.Context(), false))
	a.want(100)
	b.close(20)
	soon(t, "it is back", func() bool {
		b.close(20)
		share, _ := a.has()
		return share == 10
	})
}

// A broker that is silent for more than ten seconds loses its share; when it is
// back it must give way, though it uses what it had.
func TestBrokerThatWasAwayGivesWay(t *testing.T) {
	t.Parallel()
	url, db := divided(t, 20)
	wired, w := through(t, url)
	away := takes(t, broker(t, wired), 100)
	stays := takes(t, broker(t, url), 100)
	away.gets(t, 10)
	away.close(20)
	stays.gets(t, 10)
	w.sever()
	start := time.Now()
	stays.gets(t, 20)
	require.Greater(t, time.Since(start), 8*time.Second)
	_, used := away.has()
	require.Equal(t, 10, used, "it cannot know")
	w.mend()
	start = time.Now()
	soon(t, "both have their half", func() bool {
		away.close(1)
		stays.close(1)
		x, _ := away.has()
		y, _ := stays.has()
		return x == 10 && y == 10 && leased(t, db) == 20
	})
	t.Logf("after %v", time.Since(start).Round(time.Millisecond))
}

func TestSharesAreForBrokers(t *testing.T) {
	t.Parallel()
	err := fresh(t).Shares(t.Context(), nil, nil)
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, inst, w, _ := instance(t, func(c *registry.Config) { c.Broker = true })
	w.sever()
	soon(t, "lost", func() bool { return !inst.Stats().Listening })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = inst.Shares(ctx, func(int64) int { return 0 }, func(int64, int) {})
	require.ErrorIs(t, err, registry.ErrUnavailable)
}

// Somebody who holds the server's row costs neither the channel nor the heartbeat.
func TestSharesDoNotWaitForTheServersRow(t *testing.T) {
	t.Parallel()
	url, db := divided(t, 20)
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM dermaga.servers FOR UPDATE")
	require.NoError(t, err)
	r := broker(t, url)
	k := takes(t, r, 100)
	share, _ := k.has()
	require.Zero(t, share)
	require.NoError(t, tx.Rollback(t.Context()))
	k.gets(t, 20)
}

// Brokers come and go, want more and less, and close late: the server never has
// more connections than its budget.
func TestBudgetHoldsWhateverBrokersDo(t *testing.T) {
	t.Parallel()
	const budget = 20
	url, _ := divided(t, budget)
	var all account
	var takers [4]atomic.Pointer[taker]
	for i := range 3 {
		takers[i].Store(takesOf(t, &all, broker(t, url), 100))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range takers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if k := takers[i].Load(); k != nil && rand.N(3) == 0 {
					k.want(rand.N(budget))
				} else if k != nil {
					k.close(rand.N(3))
				}
				<-time.After(time.Duration(rand.N(20)) * time.Millisecond)
			}
		})
	}
	<-time.After(4 * time.Second)
	takers[3].Store(takesOf(t, &all, broker(t, url), 100))
	wg.Wait()
	most := all.peak()
	t.Logf("at most %d of %d", most, budget)
	require.LessOrEqual(t, most, budget)
	require.Greater(t, most, budget/2)
}
