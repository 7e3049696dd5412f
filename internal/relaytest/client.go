package relaytest

import (
	"context"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
)

// Client is a driver's connection through the relay in the rig's mode. startup
// are the parameters of its startup packet: a name, its value, the next name.
func (r *Rig) Client(startup ...string) *pgconn.PgConn {
	r.t.Helper()
	return r.ClientIn(r.o.Mode, startup...)
}

// ClientIn is Client in another mode.
func (r *Rig) ClientIn(mode relay.Mode, startup ...string) *pgconn.PgConn {
	r.t.Helper()
	conn, told, _ := r.Conn(mode, startup...)
	return Driver(r.t, conn, told)
}

// Conn is the bare connection of a client, what it was told of parameters, and
// its name in the relay.
func (r *Rig) Conn(mode relay.Mode, startup ...string) (net.Conn, []relay.Param, relay.Handle) {
	r.t.Helper()
	told, err := r.relay.Greeting(context.Background(), r.target)
	require.NoError(r.t, err)
	mine, theirs := Pair(r.t)
	in := relay.Client{Conn: theirs, Target: r.target, Mode: mode, Told: told, Ended: r.ended.Done}
	for i := 0; i+1 < len(startup); i += 2 {
		p := relay.Param{Name: startup[i], Value: startup[i+1]}
		if !own(&in, p) {
			in.Set = append(in.Set, p)
		}
	}
	r.ended.Add(1)
	h, err := r.relay.Add(in)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = mine.Close() })
	return mine, in.Told, h
}

// own notes a parameter of the startup packet that the server reports.
func own(in *relay.Client, p relay.Param) bool {
	for i := range in.Told {
		if strings.EqualFold(in.Told[i].Name, p.Name) {
			in.Told[i].Value = p.Value
			in.Own = append(in.Own, in.Told[i])
			return true
		}
	}
	return false
}

// Direct is a connection to the database without the relay, with such a startup
// packet.
func (r *Rig) Direct(startup ...string) *pgconn.PgConn {
	r.t.Helper()
	cfg, err := pgconn.ParseConfig(r.o.URL)
	require.NoError(r.t, err)
	for i := 0; i+1 < len(startup); i += 2 {
		cfg.RuntimeParams[startup[i]] = startup[i+1]
	}
	c, err := pgconn.ConnectConfig(context.Background(), cfg)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}
