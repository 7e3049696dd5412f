package relay_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

// undertaker counts the connections that the relay has closed, and those of them
// that PostgreSQL has closed.
type undertaker struct {
	relaytest.Everyone
	closing, closed atomic.Int32
}

func (u *undertaker) Closing(*relay.Pool) func() {
	u.closing.Add(1)
	return func() { u.closed.Add(1) }
}

func TestAConnectionCountsUntilPostgresHasClosedIt(t *testing.T) {
	u := &undertaker{}
	r := newRig(t, 1, func(c *relay.Config) { c.Limits, c.ServerIdle = u, 50*time.Millisecond })
	real := r.target.Dial
	goodbye, ends := make(chan bool), make(chan bool)
	r.target.Dial = func(ctx context.Context) (*relay.Server, error) {
		s, err := real(ctx)
		if err == nil {
			s.Conn = lingering(t, s.Conn, goodbye, ends)
		}
		return s, err
	}
	one(t, r.client(), "select 1")
	<-goodbye
	require.Eventually(t, func() bool { return u.closing.Load() == 1 }, wait, tick)
	require.EqualValues(t, 0, u.closed.Load(), "PostgreSQL still has it")
	close(ends)
	require.Eventually(t, func() bool { return u.closed.Load() == 1 }, wait, tick)
}

// lingering stands before a server that takes its time to end: when the relay has
// said goodbye it says so, and closes after ends.
func lingering(t *testing.T, server net.Conn, goodbye chan<- bool, ends <-chan bool) net.Conn {
	relays, ours := relaytest.Pair(t)
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(ours, server) })
	both.Go(func() {
		_, _ = io.Copy(server, ours)
		goodbye <- true
		<-ends
		_, _ = ours.Close(), server.Close()
	})
	t.Cleanup(both.Wait)
	return relays
}
