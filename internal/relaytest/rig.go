package relaytest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

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
	cfg := Config()
	cfg.Explain = explain
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
	s, err := Dial(ctx, r.o.URL)
	if err == nil && r.o.Wrap != nil {
		s.Conn = r.o.Wrap(s.Conn)
	}
	return s, err
}

func (r *Rig) cancel(ctx context.Context, key relay.BackendKey) error {
	return Cancel(ctx, r.o.URL, key)
}
