package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// patience bounds one transaction of a client, waits included.
const patience = time.Minute

// A crowd is clients that run one transaction after another until they are told
// to stop. Whoever meets an error connects again. Safe for concurrent use.
type crowd struct {
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
	done atomic.Int64 // transactions

	mu     sync.Mutex
	faults map[string]int // by SQLSTATE, or text where there is none
	took   []time.Duration
}

// gather makes an empty crowd, which goes home when the test ends.
func gather(t *testing.T) *crowd {
	c := &crowd{faults: map[string]int{}}
	c.ctx, c.stop = context.WithCancel(t.Context())
	t.Cleanup(c.home)
	return c
}

// home tells the clients to stop and waits until they have.
func (c *crowd) home() {
	c.stop()
	c.all.Wait()
}

// join adds n clients that run sql over and over at url.
func (c *crowd) join(n int, url, sql string) {
	for range n {
		c.all.Go(func() {
			for c.ctx.Err() == nil {
				if err := c.visit(url, sql); err != nil {
					c.blame(err)
				}
			}
		})
	}
}

// visit runs transactions on one connection until one fails.
func (c *crowd) visit(url, sql string) error {
	conn, err := dial(c.ctx, url)
	if c.ctx.Err() != nil {
		hangUp(conn)
		return nil
	}
	if err != nil {
		select { // a replica that is away refuses as fast as it is asked
		case <-c.ctx.Done():
		case <-time.After(often):
		}
		return fmt.Errorf("connect: %w", err)
	}
	defer hangUp(conn)
	for c.ctx.Err() == nil {
		began := time.Now()
		if err := run(conn, sql); err != nil {
			return err
		}
		c.done.Add(1)
		c.mu.Lock()
		c.took = append(c.took, time.Since(began))
		c.mu.Unlock()
	}
	return nil
}

func (c *crowd) blame(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults[reason(err)]++
}

// blamed is what has befallen the clients.
func (c *crowd) blamed() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.faults)
}

// forget makes as if the clients had just come.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done.Store(0)
	clear(c.faults)
	c.took = nil
}

// more waits until the crowd has had n more transactions.
func (c *crowd) more(ctx context.Context, t *testing.T, n int64) {
	t.Helper()
	want := c.done.Load() + n
	await(ctx, t, fmt.Sprintf("%d more transactions", n), func() bool { return c.done.Load() >= want })
}

// reason is the SQLSTATE in err, or its text.
func reason(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return told.Code
	}
	return err.Error()
}

// dial connects a client.
func dial(ctx context.Context, url string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return pgconn.Connect(ctx, url)
}

// guest connects a client that stays until the test ends.
func guest(ctx context.Context, t *testing.T, url string) *pgconn.PgConn {
	t.Helper()
	conn, err := dial(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { hangUp(conn) })
	return conn
}

func hangUp(conn *pgconn.PgConn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it may be broken
}

// run runs sql as a simple query.
func run(conn *pgconn.PgConn, sql string) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errors.New("no answer"))
	defer cancel()
	_, err := conn.Exec(ctx, sql).ReadAll()
	return err
}

// begin runs sql without waiting for it; what it comes to is sent once.
func begin(conn *pgconn.PgConn, sql string) <-chan error {
	came := make(chan error, 1)
	go func() { came <- run(conn, sql) }()
	return came
}

// outcome waits for what begin's statement comes to.
func outcome(ctx context.Context, t *testing.T, came <-chan error) error {
	t.Helper()
	select {
	case err := <-came:
		return err
	case <-ctx.Done():
		require.FailNow(t, "no outcome", context.Cause(ctx).Error())
		return nil
	}
}
