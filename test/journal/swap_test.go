package journal_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// swap returns the URL of a proxy to the broker that takes a for b and b for a,
// as a bug in a cache of routes or pools would.
func swap(t *testing.T, a, b string) string {
	t.Helper()
	u, err := url.Parse(world.brokerURL)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{broker: u.Host, swapped: map[string]string{a: b, b: a}, open: map[net.Conn]bool{}}
	p.all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // closed
			}
			p.all.Go(func() { p.pass(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.end()
	})
	u.Host = ln.Addr().String()
	u.RawQuery = "sslmode=disable"
	return u.String()
}

type proxy struct {
	broker  string
	swapped map[string]string
	all     sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
	over bool
}

// keep reports whether conn may be used: not if the proxy has ended.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[conn] = true
	return !p.over
}

func (p *proxy) end() {
	p.mu.Lock()
	p.over = true
	for conn := range p.open {
		conn.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// pass changes a client's first message and then only carries bytes.
func (p *proxy) pass(client net.Conn) {
	defer client.Close()
	if !p.keep(client) {
		return
	}
	first, err := pgproto3.NewBackend(client, client).ReceiveStartupMessage()
	if err != nil {
		return
	}
	if m, ok := first.(*pgproto3.StartupMessage); ok {
		if other := p.swapped[m.Parameters["database"]]; other != "" {
			m.Parameters["database"] = strings.Clone(other)
		}
	}
	text, err := first.Encode(nil)
	if err != nil {
		return
	}
	broker, err := net.Dial("tcp", p.broker)
	if err != nil {
		return
	}
	defer broker.Close()
	if !p.keep(broker) {
		return
	}
	if _, err := broker.Write(text); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { carry(broker, client) })
	both.Go(func() { carry(client, broker) })
	both.Wait()
}

// carry ends both sides when one has ended.
func carry(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err == nil || !errors.Is(err, net.ErrClosed) {
		to.Close()
		from.Close()
	}
}
