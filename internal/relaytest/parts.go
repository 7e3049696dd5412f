package relaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
)

// Config has one loop and time-outs that no test waits for. Explain is missing.
func Config() relay.Config {
	return relay.Config{
		Loops: 1, QueryWait: 30 * time.Second, CancelWait: 10 * time.Second, HoldWait: 30 * time.Second, LoginRetry: 100 * time.Millisecond,
		MaxStatements: 50, ServerIdle: time.Hour, ServerLifetime: time.Hour, TTL: time.Hour,
		Limits: &Everyone{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// Dial opens a server for a relay.
func Dial(ctx context.Context, url string) (*relay.Server, error) {
	c, err := pgconn.Connect(ctx, url)
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
	return s, nil
}

// Cancel asks the server at url to cancel what key's session runs, and returns when
// it has taken that.
func Cancel(ctx context.Context, url string, key relay.BackendKey) error {
	cfg, err := pgconn.ParseConfig(url)
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

// Pair is the two ends of a TCP connection.
func Pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	a, err = net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	b, err = ln.Accept()
	require.NoError(t, err)
	return a, b
}

// Driver is conn, whose client has logged in and was told these parameters, as a
// driver's connection.
func Driver(t testing.TB, conn net.Conn, told []relay.Param) *pgconn.PgConn {
	t.Helper()
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 user=x database=x sslmode=disable")
	require.NoError(t, err)
	params := map[string]string{}
	for _, p := range told {
		params[p.Name] = p.Value
	}
	c, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: conn, SecretKey: []byte{0, 0, 0, 0}, ParameterStatuses: params, TxStatus: 'I', Config: cfg,
	})
	require.NoError(t, err)
	return c
}
