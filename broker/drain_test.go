package broker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

func TestDrainLetsTransactionsFinishAndEndsTheIdleLast(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	b, address := serveBroker(t, w)
	idle, busy := connect(t, address, "one", "one", "right", simple), connect(t, address, "one", "one", "right", simple)
	exec(t, busy, "BEGIN")
	require.True(t, b.Ready())
	b.Drain(t.Context())
	require.False(t, b.Ready())
	exec(t, connect(t, address, "one", "one", "right", simple), "SELECT 1") // it may still come

	over := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { over <- b.Shutdown(ctx) }()
	eventually(t, func() bool { _, err := tryConnect(t.Context(), address, "one", "one", "right"); return err != nil }, "nobody is accepted")
	quiet, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	_, err := idle.WaitForNotification(quiet)
	require.ErrorIs(t, err, context.DeadlineExceeded, "the idle one is still there")
	exec(t, busy, "SELECT 1")
	exec(t, busy, "COMMIT")
	require.Equal(t, "57P01", ended(t, busy).Code)
	require.NoError(t, <-over)
	require.Zero(t, backends(t, up.role))
}

func TestDrainTellsThoseWhoWait(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	w.alter("one", "one", func(e *registry.Entry) { e.Route.PoolSize = 1 })
	b, address := serveBroker(t, w)
	busy, waits := connect(t, address, "one", "one", "right", simple), connect(t, address, "one", "one", "right", simple)
	exec(t, busy, "BEGIN")
	outcome := make(chan error, 1)
	go func() {
		_, err := waits.Exec(context.Background(), "SELECT 1")
		outcome <- err
	}()
	eventually(t, func() bool { s, err := b.Stats(t.Context()); return err == nil && s.Pools[0].Waiting == 1 }, "it waits")
	over := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { over <- b.Shutdown(ctx) }()
	var failure *pgconn.PgError
	require.ErrorAs(t, <-outcome, &failure)
	require.Equal(t, "57P01", failure.Code)
	exec(t, busy, "COMMIT")
	require.NoError(t, <-over)
}

func TestDrainIsBounded(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	b, address := serveBroker(t, w)
	busy := connect(t, address, "one", "one", "right", simple)
	exec(t, busy, "BEGIN")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded)
	require.Equal(t, "57P01", ended(t, busy).Code)
	eventually(t, func() bool { return backends(t, up.role) == 0 }, "its server has gone")
}

// A transaction that has begun ends well, however busy the broker was.
func TestDrainUnderLoadFailsNoTransaction(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	b, address := serveBroker(t, w)
	var clients sync.WaitGroup
	var done atomic.Int64
	for range 16 {
		conn := connect(t, address, "one", "one", "right", simple)
		clients.Go(func() {
			for {
				tx, err := conn.Begin(context.Background())
				if err != nil {
					var failure *pgconn.PgError
					if !errors.As(err, &failure) || failure.Code != "57P01" {
						t.Errorf("begin: %v", err)
					}
					return
				}
				for range 3 {
					if _, err = tx.Exec(context.Background(), "SELECT pg_sleep(0.002)"); err != nil {
						t.Errorf("in a transaction: %v", err)
						return
					}
				}
				if err := tx.Commit(context.Background()); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				done.Add(1)
			}
		})
	}
	eventually(t, func() bool { return done.Load() > 100 }, "busy")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, b.Shutdown(ctx))
	clients.Wait()
	require.Zero(t, backends(t, up.role))
}

// backends counts a role's server connections.
func backends(t testing.TB, role string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), pgtest.URL(t))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	eventually(t, func() bool {
		err := conn.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&n)
		return err == nil && n == 0
	}, "no server connection is left")
	return n
}

func TestConnectionsAreBounded(t *testing.T) {
	b, address := serveBroker(t, townOfTwo(t), func(c *broker.Config) { c.MaxClients = 3 })
	var in []*fakepg.Client
	for range 3 {
		c := fakepg.Dial(t, address)
		require.Nil(t, c.Login(0, "right", "user", "one"))
		in = append(in, c)
	}
	failure := fakepg.Dial(t, address).Login(0, "right", "user", "two")
	require.NotNil(t, failure)
	require.Equal(t, "53300", failure.Code)
	require.Contains(t, failure.Hint, "max_client_conn")
	_ = in[0].Close()
	eventually(t, func() bool { s, err := b.Stats(t.Context()); return err == nil && s.Connections == 2 }, "one has gone")
	require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "two"))
}

// Many at once: each is let in or told why not, and none is left without an answer.
func TestBurstBeyondTheBoundIsAnswered(t *testing.T) {
	const bound, burst = 50, 400
	b, address := serveBroker(t, townOfTwo(t), func(c *broker.Config) { c.MaxClients, c.MaxHandshakes = bound, 20 })
	var all sync.WaitGroup
	var in, refused atomic.Int64
	for range burst {
		c := fakepg.Dial(t, address)
		all.Go(func() {
			switch failure := c.Login(0, "right", "user", "one"); {
			case failure == nil:
				in.Add(1)
			case failure.Code == "53300":
				refused.Add(1)
			default:
				t.Errorf("%s: %s", failure.Code, failure.Message)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, burst, in.Load()+refused.Load())
	require.LessOrEqual(t, in.Load(), int64(bound))
	require.Positive(t, in.Load())
	eventually(t, func() bool {
		s, err := b.Stats(t.Context())
		return err == nil && int64(s.Connections) == in.Load()
	}, "only those who are in are counted")
}

// A line of the log names the connection by the id that its client was told.
func TestLogAndClientNameTheSameConnection(t *testing.T) {
	var log lines
	w := townOfTwo(t)
	w.settle("dead", newMoody(t, "3D000").upstream)
	address := serve(t, w, func(c *broker.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	failure := fakepg.Dial(t, address).Login(0, "right", "user", "dead")
	require.Regexp(t, `connection [0-9a-f]{6}-1 in the broker's log`, failure.Detail)
	id := failure.Detail[len(failure.Detail)-len("xxxxxx-1 in the broker's log."):][:8]
	eventually(t, func() bool { return bytes.Contains(log.all(), []byte("msg=client_refused conn="+id)) }, "the line")
	require.NotContains(t, string(log.all()), "right")
	require.NotContains(t, string(log.all()), "upstream\"")
}

// lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) all() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
