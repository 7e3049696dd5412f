package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests answer the cache's questions themselves, to hold an answer back
// while something else happens.

func testCache(t testing.TB, ask func(context.Context, question) (*remembered, error)) *cache {
	t.Helper()
	c := newCache(Config{Log: slog.New(slog.DiscardHandler), CacheSize: 20_000}.withDefaults(), ask)
	c.listening.Store(true)
	t.Cleanup(c.close)
	return c
}

// route is an answer that says which version of the tenant it saw.
func route(q question, version int64) *remembered {
	return &remembered{
		tenant: q.slug, login: "login of " + q.slug, server: 1, plan: "STARTER",
		entry: Entry{Granted: true, Login: &Login{}, Tenant: &Tenant{}, Route: &Route{Version: version}},
	}
}

func TestAnswerThatAChangeOvertakesIsNotKept(t *testing.T) {
	t.Parallel()
	var version atomic.Int64
	asking, answer := make(chan struct{}), make(chan struct{})
	c := testCache(t, func(_ context.Context, q question) (*remembered, error) {
		v := version.Load()
		asking <- struct{}{}
		<-answer
		return route(q, v), nil
	})
	q := question{"a", "app"}
	got := make(chan int64, 1)
	look := func() {
		e, err := c.lookup(t.Context(), q)
		if err != nil {
			got <- -1
			return
		}
		got <- e.Route.Version
	}
	go look()
	<-asking // it has read version 0 …
	version.Store(1)
	c.drop(Change{ID: 1, Entity: "tenants", EntityID: "a"}) // … when version 1 is announced
	answer <- struct{}{}
	<-asking // so it asks again
	answer <- struct{}{}
	require.EqualValues(t, 1, <-got)
	go look()
	require.EqualValues(t, 1, <-got, "from memory")
}

func TestWhoAsksAfterAChangeIsNotGivenAnOlderAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	hold := make(chan struct{})
	first := make(chan struct{})
	c := testCache(t, func(_ context.Context, q question) (*remembered, error) {
		n := asked.Add(1)
		if n == 1 {
			close(first)
			<-hold
		}
		return route(q, n), nil
	})
	q := question{"a", "app"}
	early := make(chan Entry, 1)
	go func() {
		e, _ := c.lookup(context.Background(), q)
		early <- e
	}()
	<-first
	c.drop(Change{ID: 1, Entity: "tenants", EntityID: "a"})
	late, err := c.lookup(t.Context(), q)
	require.NoError(t, err)
	require.EqualValues(t, 2, late.Route.Version)
	close(hold)
	require.EqualValues(t, 2, (<-early).Route.Version)
}

func TestManyWhoAskTheSameAskOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	hold := make(chan struct{})
	c := testCache(t, func(_ context.Context, q question) (*remembered, error) {
		asked.Add(1)
		<-hold
		return route(q, 1), nil
	})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_, err := c.lookup(context.Background(), question{"a", "app"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return c.counters.misses.Load() == 100 }, 10*time.Second, time.Millisecond)
	close(hold)
	wg.Wait()
	require.EqualValues(t, 1, asked.Load())
}

func TestWhoLeavesDoesNotTakeTheAnswerAlong(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	c := testCache(t, func(ctx context.Context, q question) (*remembered, error) {
		select {
		case <-hold:
			return route(q, 1), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	q := question{"a", "app"}
	stays := make(chan error, 1)
	go func() {
		_, err := c.lookup(context.Background(), q)
		stays <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	leaves := make(chan error, 1)
	go func() {
		_, err := c.lookup(ctx, q)
		leaves <- err
	}()
	require.Eventually(t, func() bool { return c.counters.misses.Load() == 2 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-leaves, ErrUnavailable)
	close(hold)
	require.NoError(t, <-stays)
}

func TestStrangersDoNotPushKnownNamesOut(t *testing.T) {
	t.Parallel()
	c := newCache(Config{Log: slog.New(slog.DiscardHandler), CacheSize: 10}.withDefaults(), func(_ context.Context, q question) (*remembered, error) {
		if q.login == "app" {
			return route(q, 1), nil
		}
		return &remembered{}, nil
	})
	t.Cleanup(c.close)
	c.listening.Store(true)
	_, err := c.lookup(t.Context(), question{"a", "app"})
	require.NoError(t, err)
	for i := range 1000 {
		_, err := c.lookup(t.Context(), question{"a", fmt.Sprint("guess", i)})
		require.NoError(t, err)
	}
	_, err = c.lookup(t.Context(), question{"a", "app"})
	require.NoError(t, err)
	require.EqualValues(t, 1, c.counters.hits.Load())
	require.Equal(t, 10, c.unknown.Len())
}

func TestDownRegistryIsNotAskedByEverybody(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	down := errors.New("down")
	var broken atomic.Bool
	c := testCache(t, func(_ context.Context, q question) (*remembered, error) {
		asked.Add(1)
		if broken.Load() {
			return nil, down
		}
		return route(q, 1), nil
	})
	q := question{"a", "app"}
	_, err := c.lookup(t.Context(), q)
	require.NoError(t, err)
	broken.Store(true)
	c.doubt()
	asked.Store(0)
	for range 1000 {
		e, err := c.lookup(t.Context(), q)
		require.NoError(t, err)
		require.NotNil(t, e.Route)
	}
	require.LessOrEqual(t, asked.Load(), int64(10), "twice in a try, one try a second")
	_, err = c.lookup(t.Context(), question{"b", "app"})
	require.ErrorIs(t, err, down)
	require.ErrorIs(t, err, ErrUnavailable)
}

func TestChangeOfAnUnknownKindDropsAll(t *testing.T) {
	t.Parallel()
	c := testCache(t, func(_ context.Context, q question) (*remembered, error) { return route(q, 1), nil })
	for _, s := range []string{"a", "b"} {
		_, err := c.lookup(t.Context(), question{s, "app"})
		require.NoError(t, err)
	}
	c.drop(Change{ID: 1, Entity: "holds", EntityID: "x"})
	require.Zero(t, c.known.Len())
}

// A change walks the whole cache: measured at 10,000 entries.
func BenchmarkDrop(b *testing.B) {
	c := testCache(b, func(_ context.Context, q question) (*remembered, error) { return route(q, 1), nil })
	for i := range 10_000 {
		if _, err := c.lookup(b.Context(), question{fmt.Sprint("t", i), "app"}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		c.drop(Change{ID: 1, Entity: "tenants", EntityID: "nobody"})
	}
}

func BenchmarkLookupHit(b *testing.B) {
	c := testCache(b, func(_ context.Context, q question) (*remembered, error) { return route(q, 1), nil })
	for b.Loop() {
		if _, err := c.lookup(b.Context(), question{"a", "app"}); err != nil {
			b.Fatal(err)
		}
	}
}
