package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// How long tests wait for a condition, and how often they look.
const (
	wait = 20 * time.Second
	tick = time.Millisecond
)

// rig is a relay in front of a database of its own. Its clients are put behind
// the ceremony: the test holds their other end, already logged in.
type rig struct {
	t      testing.TB
	relay  *relay.Relay
	target *relay.Target
	url    string
	ended  sync.WaitGroup

	mu    sync.Mutex
	wrap  func(net.Conn) net.Conn // what the relay gets instead of a server's connection
	dials int
}

func newRig(t testing.TB, size int, change ...func(*relay.Config)) *rig {
	cfg := relaytest.Config()
	cfg.Explain = func(r relay.Refusal, _ *relay.Target, _ string) wire.Fields {
		return wire.Fields{Code: "XX000", Message: refusal(r)}
	}
	for _, f := range change {
		f(&cfg)
	}
	r := &rig{t: t, url: pgtest.Database(t)}
	var err error
	r.relay, err = relay.Start(cfg)
	require.NoError(t, err)
	r.target = &relay.Target{Key: "k", Tenant: "t", Greeting: "g", Slug: "s", Role: "postgres", PoolSize: size, Dial: r.dial, Cancel: r.cancel}
	t.Cleanup(func() {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		_ = r.relay.Stop(ctx)
		r.ended.Wait()
	})
	return r
}

// refusal is what the rig's clients are told.
func refusal(r relay.Refusal) string { return fmt.Sprint("refusal ", uint8(r)) }

func (r *rig) dial(ctx context.Context) (*relay.Server, error) {
	s, err := relaytest.Dial(ctx, r.url)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials++
	if r.wrap != nil {
		s.Conn = r.wrap(s.Conn)
	}
	return s, nil
}

func (r *rig) cancel(ctx context.Context, key relay.BackendKey) error {
	return relaytest.Cancel(ctx, r.url, key)
}

// seat is a client's two ends: the test's, and what names the relay's.
type seat struct {
	net.Conn
	handle relay.Handle
	params []relay.Param
}

// seat adds a client; change may alter what the relay is told of it.
func (r *rig) seat(change ...func(*relay.Client)) *seat {
	mine, theirs := relaytest.Pair(r.t)
	told, err := r.relay.Greeting(context.Background(), r.target)
	require.NoError(r.t, err)
	r.ended.Add(1)
	in := relay.Client{Conn: theirs, Target: r.target, Told: told, Ended: r.ended.Done}
	for _, f := range change {
		f(&in)
	}
	h, err := r.relay.Add(in)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { mine.Close() })
	return &seat{Conn: mine, handle: h, params: in.Told}
}

// client is a seat as a driver's connection.
func (r *rig) client(change ...func(*relay.Client)) *pgconn.PgConn {
	return r.seat(change...).driver(r.t)
}

func (s *seat) driver(t testing.TB) *pgconn.PgConn { return relaytest.Driver(t, s.Conn, s.params) }

// one runs sql and returns the last result's first value.
func one(t testing.TB, c *pgconn.PgConn, sql string) string {
	t.Helper()
	v, err := try(c, sql)
	require.NoError(t, err, sql)
	return v
}

func try(c *pgconn.PgConn, sql string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) == 0 || len(results[len(results)-1].Rows) == 0 {
		return "", nil
	}
	return string(results[len(results)-1].Rows[0][0]), nil
}

// code is the SQLSTATE of err.
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// backends counts the server's connections to the rig's database.
func (r *rig) backends() (n int) {
	c, err := pgconn.Connect(context.Background(), pgtest.URL(r.t))
	require.NoError(r.t, err)
	defer c.Close(context.Background())
	cfg, err := pgconn.ParseConfig(r.url)
	require.NoError(r.t, err)
	_, err = fmt.Sscan(one(r.t, c, "select count(*) from pg_stat_activity where datname = '"+cfg.Database+"'"), &n)
	require.NoError(r.t, err)
	return n
}

// stats is the rig's one pool.
func (r *rig) stats() relay.PoolStats {
	all, err := r.relay.Snapshot(context.Background())
	require.NoError(r.t, err)
	require.Len(r.t, all, 1)
	return all[0]
}
