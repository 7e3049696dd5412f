package relaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/internal/pgtest"
)

// Options of a Rig; the zero value is one server, in a database of its own.
type Options struct {
	URL      string                  // where servers log in; empty: to an empty database, as its superuser
	PoolSize int                     // most servers; 0: one
	Mode     relay.Mode              // of clients that are not given another
	Target   func(*relay.Target)     // changes what the rig's clients are after
	Config   func(*relay.Config)     // changes how the relay is started
	Wrap     func(net.Conn) net.Conn // stands between the relay and a server
}

// Rig is a relay with one pool.
type Rig struct {
	t      testing.TB
	o      Options
	relay  *relay.Relay
	target *relay.Target
	ended  sync.WaitGroup
}

// Start starts a relay that ends with t.
func Start(t testing.TB, o Options) *Rig {
	t.Helper()
	if o.URL == "" {
		o.URL = pgtest.Database(t)
	}
	cfg := relay.Config{
		Loops: 1, QueryWait: 30 * time.Second, CancelWait: 10 * time.Second, HoldWait: 30 * time.Second, LoginRetry: 100 * time.Millisecond,
		MaxStatements: 50, ServerIdle: time.Hour, ServerLifetime: time.Hour, TTL: time.Hour,
		Limits: &everyone{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Explain: explain,
	}
	if o.Config != nil {
		o.Config(&cfg)
	}
	r := &Rig{t: t, o: o}
	r.target = &relay.Target{
		Key: "k", Tenant: "t", Greeting: "g", Slug: "s", Role: "postgres", PoolSize: max(o.PoolSize, 1),
		Dial: r.dial, Cancel: r.cancel,
	}
	if o.Target != nil {
		o.Target(r.target)
	}
	var err error
	r.relay, err = relay.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithCancel(context.Background())
		stop() // nobody is waited for
		_ = r.relay.Stop(ctx)
		r.ended.Wait()
	})
	return r
}

// Relay is what the rig is about.
func (r *Rig) Relay() *relay.Relay { return r.relay }

// Pool is the rig's one pool, once it has had a client.
func (r *Rig) Pool() relay.PoolStats {
	r.t.Helper()
	all, err := r.relay.Snapshot(context.Background())
	require.NoError(r.t, err)
	require.Len(r.t, all, 1)
	return all[0]
}

// Pins are the reasons for which clients keep their servers, of all clients.
func (r *Rig) Pins() (all []string) {
	r.t.Helper()
	clients, err := r.relay.Clients(context.Background())
	require.NoError(r.t, err)
	for _, c := range clients {
		all = append(all, c.Pins...)
	}
	return all
}

// explain gives a refusal the SQLSTATE that tests look for, and a number.
func explain(why relay.Refusal, _ *relay.Target, about string) wire.Fields {
	f := wire.Fields{Severity: "FATAL", Code: "XX000", Message: fmt.Sprint("refusal ", uint8(why)), Detail: about}
	if why == relay.StateRefused || why == relay.BlockRefused {
		f.Severity, f.Code = "ERROR", "0A000"
	}
	return f
}

// dial opens a server for the relay.
func (r *Rig) dial(ctx context.Context) (*relay.Server, error) {
	c, err := pgconn.Connect(ctx, r.o.URL)
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
	if r.o.Wrap != nil {
		s.Conn = r.o.Wrap(h.Conn)
	}
	return s, nil
}

func (r *Rig) cancel(ctx context.Context, key relay.BackendKey) error {
	cfg, err := pgconn.ParseConfig(r.o.URL)
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
