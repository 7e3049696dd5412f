package peer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ourKey   = "6f1c9a0be37d5248c4e1b7830f5a92d6ec3481bd7a0f69255dcb1e8497f302a4"
	otherKey = "aa1c9a0be37d5248c4e1b7830f5a92d6ec3481bd7a0f69255dcb1e8497f302a4"
)

// served is a broker that keeps what it was asked for.
type served struct {
	disconnected chan peer.Disconnect
	cancelled    chan peer.Cancel
	err          error
}

func (s served) PeerStats(context.Context) (peer.Stats, error) {
	return peer.Stats{Instance: "one", Tenants: []peer.Tenant{{Slug: "satu", Waited: time.Second}}}, s.err
}

func (s served) Disconnect(ctx context.Context, d peer.Disconnect) (peer.Disconnected, error) {
	s.disconnected <- d
	if d.Tenant == "stays" {
		<-ctx.Done()
		return peer.Disconnected{}, context.Cause(ctx)
	}
	return peer.Disconnected{Clients: 3}, s.err
}

func (s served) CancelOwn(_ context.Context, c peer.Cancel) (peer.Cancelled, error) {
	s.cancelled <- c
	return peer.Cancelled{Known: true}, s.err
}

func keys(t *testing.T, text string) *registry.Keys {
	t.Helper()
	k, err := registry.ParseKeys(text)
	require.NoError(t, err)
	return k
}

// serve answers peers until the test ends.
func serve(t *testing.T, s served) (address string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- peer.Serve(ctx, ln, keys(t, ourKey), s, slog.New(slog.DiscardHandler)) }()
	var ended bool
	stop = func() {
		if !ended {
			ended = true
			cancel()
			require.NoError(t, <-over)
		}
	}
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

func client(t *testing.T, key string) *peer.Client {
	t.Helper()
	c, err := peer.NewClient(keys(t, key))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func newServed() served {
	return served{disconnected: make(chan peer.Disconnect, 1), cancelled: make(chan peer.Cancel, 1)}
}

func TestPeersAskAndAnswer(t *testing.T) {
	s := newServed()
	address, _ := serve(t, s)
	c := client(t, ourKey)
	stats, err := c.Stats(t.Context(), address)
	require.NoError(t, err)
	require.Equal(t, peer.Stats{Instance: "one", Tenants: []peer.Tenant{{Slug: "satu", Waited: time.Second}}}, stats)

	done, err := c.Disconnect(t.Context(), address, peer.Disconnect{Tenant: "t", Grace: time.Second})
	require.NoError(t, err)
	require.Equal(t, 3, done.Clients)
	require.Equal(t, peer.Disconnect{Tenant: "t", Grace: time.Second}, <-s.disconnected)

	known, err := c.Cancel(t.Context(), address, peer.Cancel{PID: 7, Secret: []byte{1, 2}})
	require.NoError(t, err)
	require.True(t, known.Known)
	require.Equal(t, peer.Cancel{PID: 7, Secret: []byte{1, 2}}, <-s.cancelled)
}

func TestPeerSaysWhatWentWrong(t *testing.T) {
	s := newServed()
	s.err = errors.New("the loops are busy")
	address, _ := serve(t, s)
	_, err := client(t, ourKey).Stats(t.Context(), address)
	require.ErrorContains(t, err, "the loops are busy")
}

func TestPeerWithAnotherKeyIsRefusedByBothEnds(t *testing.T) {
	s := newServed()
	address, _ := serve(t, s)
	_, err := client(t, otherKey).Disconnect(t.Context(), address, peer.Disconnect{})
	require.ErrorContains(t, err, "another ENCRYPTION_KEY")
	require.Empty(t, s.disconnected)

	// One that does not care who answers is refused by the other end.
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		require.ErrorContains(t, err, "tls:")
	}
	plain, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.Write([]byte("POST /peer/v1/stats HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	answer := make([]byte, 100)
	_ = plain.SetDeadline(time.Now().Add(5 * time.Second))
	n, _ := plain.Read(answer)
	require.NotContains(t, string(answer[:n]), "200")
}

func TestServeEndsWithItsContextAndSoDoRequests(t *testing.T) {
	s := newServed()
	address, stop := serve(t, s)
	over := make(chan error, 1)
	c := client(t, ourKey)
	go func() {
		_, err := c.Disconnect(context.Background(), address, peer.Disconnect{Tenant: "stays"})
		over <- err
	}()
	<-s.disconnected
	stop()
	require.Error(t, <-over)
}

func TestPeerThatHangsIsNotWaitedForLongerThanTheContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = client(t, ourKey).Stats(ctx, ln.Addr().String())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
