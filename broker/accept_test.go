package broker_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
)

func TestHalfOpenConnectionsHaveACeiling(t *testing.T) {
	b, address := serveBroker(t, townOfTwo(t), func(c *broker.Config) { c.MaxHandshakes = 3 })
	var silent []*fakepg.Client
	for range 3 {
		silent = append(silent, fakepg.Dial(t, address))
	}
	eventually(t, func() bool {
		stats, err := b.Stats(t.Context())
		return err == nil && stats.Accepted == 3 && stats.HalfOpen == 3
	}, "three are half open")
	before := runtime.NumGoroutine()
	var more []*fakepg.Client
	for range 20 {
		more = append(more, fakepg.Dial(t, address)) // the kernel takes them
	}
	stats, err := b.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, stats.Accepted)
	require.LessOrEqual(t, runtime.NumGoroutine(), before)

	_ = silent[0].Close()
	for _, c := range more {
		require.Nil(t, c.Login(0, "right", "user", "one"), "who proves himself makes room")
	}
}

func TestIdleClientsCostNoGoroutines(t *testing.T) {
	_, address := serveBroker(t, townOfTwo(t))
	require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"))
	before := runtime.NumGoroutine()
	for range 1000 {
		c := fakepg.Dial(t, address)
		require.Nil(t, c.Login(0, "right", "user", "one"))
	}
	eventually(t, func() bool { return runtime.NumGoroutine() < before+50 }, "1,000 idle clients cost less than 50 goroutines")
}

func TestShutdownEndsCeremoniesAndClients(t *testing.T) {
	b, err := broker.Start(broker.Config{Log: slog.New(slog.DiscardHandler), Loops: 1}, townOfTwo(t))
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- b.Serve(context.Background(), ln) }()
	address := ln.Addr().String()

	idle, silent, half := fakepg.Dial(t, address), fakepg.Dial(t, address), fakepg.Dial(t, address)
	require.Nil(t, idle.Login(0, "right", "user", "one"))
	challenge(t, half, "one", "one")
	eventually(t, func() bool {
		stats, err := b.Stats(t.Context())
		return err == nil && stats.HalfOpen == 2
	}, "two are half open")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, b.Shutdown(ctx))
	require.NoError(t, <-served)
	for _, c := range []*fakepg.Client{idle, silent, half} {
		refusal := c.Refusal()
		require.NotNil(t, refusal)
		require.Equal(t, "57P01", refusal.Code)
	}
	_, err = net.Dial("tcp", address)
	require.Error(t, err, "nobody listens")
	require.NoError(t, b.Shutdown(ctx), "a second time does no harm")
	ln, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, b.Serve(ctx, ln), broker.ErrStopped)
}

func TestServeEndsWithItsContext(t *testing.T) {
	b, err := broker.Start(broker.Config{Log: slog.New(slog.DiscardHandler), Loops: 1}, townOfTwo(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Shutdown(context.Background())) }()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	reason := errors.New("reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, ln) }()
	c := fakepg.Dial(t, ln.Addr().String())
	challenge(t, c, "one", "one")
	cancel(reason)
	require.ErrorIs(t, <-served, reason)
	require.Equal(t, "57P01", c.Refusal().Code)
}

func TestConfigNamesAllFaults(t *testing.T) {
	err := broker.Config{
		Loops: -1, MaxConnections: -2, ClientLoginTimeout: -time.Second, PoolMode: "sometimes", RequireTLS: true,
		QueryTimeout: -time.Second, MaxPinned: -1, TransactionState: "wipe",
	}.Defaults().Validate()
	for _, words := range []string{"Loops is -1", "MaxConnections is -2", "ClientLoginTimeout is -1s", `PoolMode is "sometimes"`, "RequireTLS", "QueryTimeout is -1s", "MaxPinned is -1", `want clean or refuse`} {
		require.ErrorContains(t, err, words)
	}
	require.NoError(t, broker.Config{}.Defaults().Validate())
}

// Ten thousand connections that come to nothing leave nothing behind.
func TestStrangersLeaveNoMemory(t *testing.T) {
	_, address := serveBroker(t, townOfTwo(t))
	visit := func() {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		c := &fakepg.Client{Conn: fakepg.Conn{Conn: conn, T: t}}
		c.Send(fakepg.Start{Pairs: []string{"user", "nobody", "_pq_.a", "1", "_pq_.b", "2"}})
		c.Next()
		c.Send(&pgproto3.Terminate{})
		require.NotNil(t, c.Refusal())
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range 500 {
		visit()
	}
	before := heap()
	for range 5000 {
		visit()
	}
	require.Less(t, int64(heap())-int64(before), int64(1<<20))
}
