package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/internal/pgtest"
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

// everyone lets any number of tenants and servers be open.
type everyone struct{ pressed atomic.Bool }

func (*everyone) Take(t *relay.Tenant)                           { t.Granted() }
func (*everyone) Give(*relay.Tenant)                             {}
func (*everyone) Open(p *relay.Pool)                             { p.Granted() }
func (*everyone) Close(*relay.Pool)                              {}
func (*everyone) Closing(*relay.Pool) func()                     { return func() {} }
func (e *everyone) Pressed() *atomic.Bool                        { return &e.pressed }
func (*everyone) Yield(*relay.Pool, time.Duration) relay.Verdict { return relay.Keep }
func (*everyone) Stays(*relay.Tenant)                            {}
func (*everyone) Retry()                                         {}

func newRig(t testing.TB, size int, change ...func(*relay.Config)) *rig {
	cfg := relay.Config{
		Loops: 1, QueryWait: 30 * time.Second, CancelWait: 10 * time.Second, HoldWait: 30 * time.Second, LoginRetry: 100 * time.Millisecond, MaxStatements: 50, ServerIdle: time.Hour, ServerLifetime: time.Hour, TTL: time.Hour,
		Limits: &everyone{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Explain: func(r relay.Refusal, _ *relay.Target, _ string) wire.Fields {
			return wire.Fields{Code: "XX000", Message: refusal(r)}
		},
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
	c, err := pgconn.Connect(ctx, r.url)
	if err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	s := &relay.Server{Conn: h.Conn, Key: relay.BackendKey{PID: h.PID, Secret: h.SecretKey}}
	for k, v := range h.ParameterStatuses {
		s.Params = append(s.Params, relay.Param{Name: k, Value: v})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials++
	if r.wrap != nil {
		s.Conn = r.wrap(h.Conn)
	}
	return s, nil
}

func (r *rig) cancel(ctx context.Context, key relay.BackendKey) error {
	cfg, err := pgconn.ParseConfig(r.url)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(wire.AppendCancel(nil, key.PID, key.Secret)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// pair is the two ends of a TCP connection.
func pair(t testing.TB) (a, b net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	a, err = net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	b, err = ln.Accept()
	require.NoError(t, err)
	return a, b
}

// seat is a client's two ends: the test's, and what names the relay's.
type seat struct {
	net.Conn
	handle relay.Handle
	params []relay.Param
}

// seat adds a client; change may alter what the relay is told of it.
func (r *rig) seat(change ...func(*relay.Client)) *seat {
	mine, theirs := pair(r.t)
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

func (s *seat) driver(t testing.TB) *pgconn.PgConn {
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 user=x database=x sslmode=disable")
	require.NoError(t, err)
	params := map[string]string{}
	for _, p := range s.params {
		params[p.Name] = p.Value
	}
	c, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: s.Conn, SecretKey: []byte{0, 0, 0, 0}, ParameterStatuses: params, TxStatus: 'I', Config: cfg,
	})
	require.NoError(t, err)
	return c
}

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
