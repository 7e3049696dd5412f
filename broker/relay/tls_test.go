package relay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

func certificate(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure is a client over TLS whose records reach the relay in pieces of at most
// chunk bytes. early is sent together with the end of the handshake, before the
// relay has the connection.
func (r *rig) secure(chunk int, early []byte) *tls.Conn {
	cert := certificate(r.t)
	secured := make(chan *tls.Conn, 1)
	r.seat(func(c *relay.Client) {
		inner, outer := relaytest.Pair(r.t)
		go func() {
			conn := tls.Client(cut{outer, chunk}, &tls.Config{InsecureSkipVerify: true})
			if err := conn.Handshake(); err == nil {
				_, _ = conn.Write(early)
			}
			secured <- conn
		}()
		require.NoError(r.t, c.Conn.Close())
		theirs := poll.ServerTLS(inner, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
		require.NoError(r.t, theirs.Handshake())
		c.Conn = theirs
	})
	conn := <-secured
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// cut writes in pieces, each a segment of its own.
type cut struct {
	net.Conn
	size int
}

func (c cut) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+c.size)])
		n += m
	}
	return n, err
}

// throughTLS puts TLS, ended by a proxy of the test's, in front of a server's
// connection.
func throughTLS(t testing.TB, plain net.Conn, cert tls.Certificate) net.Conn {
	inner, outer := relaytest.Pair(t)
	proxy := tls.Server(outer, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
	ours := poll.ClientTLS(inner, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- proxy.Handshake() }()
	require.NoError(t, ours.Handshake())
	require.NoError(t, <-shaken)
	for _, ends := range [][2]net.Conn{{proxy, plain}, {plain, proxy}} {
		go func() {
			_, _ = io.Copy(ends[0], ends[1])
			ends[0].Close()
			ends[1].Close()
		}()
	}
	return ours
}

func TestTLSClientsAreServedWhateverTheirRecordsAreCutInto(t *testing.T) {
	for _, chunk := range []int{1, 100, 1 << 20} {
		r := newRig(t, 1)
		s := r.secure(chunk, nil)
		f := pgproto3.NewFrontend(s, s)
		big := strings.Repeat("x", 100_000)
		for range 3 {
			f.Send(&pgproto3.Query{String: "select length('" + big + "')"})
			require.NoError(t, f.Flush())
			receive(t, f, &pgproto3.RowDescription{}, &pgproto3.DataRow{}, &pgproto3.CommandComplete{}, &pgproto3.ReadyForQuery{})
		}
		f.Send(&pgproto3.Query{String: "select repeat('y', 1000000)"})
		require.NoError(t, f.Flush())
		receive(t, f, &pgproto3.RowDescription{})
		m, err := f.Receive()
		require.NoError(t, err)
		require.Len(t, m.(*pgproto3.DataRow).Values[0], 1_000_000)
	}
}

func TestBytesThatCameWithTheHandshakeAreNotLost(t *testing.T) {
	r := newRig(t, 1)
	early, err := (&pgproto3.Query{String: "select 'early'"}).Encode(nil)
	require.NoError(t, err)
	s := r.secure(1<<20, early)
	f := pgproto3.NewFrontend(s, s)
	receive(t, f, &pgproto3.RowDescription{}, &pgproto3.DataRow{}, &pgproto3.CommandComplete{}, &pgproto3.ReadyForQuery{})
}

func TestServersOverTLS(t *testing.T) {
	r := newRig(t, 2)
	cert := certificate(t)
	r.wrap = func(plain net.Conn) net.Conn { return throughTLS(t, plain, cert) }
	a, b := r.client(), r.client()
	var all sync.WaitGroup
	all.Go(func() {
		for range 50 {
			if v, err := try(a, "select length(repeat('x', 100000))"); v != "100000" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
	})
	big := strings.Repeat("x", 1_000_000)
	for range 5 {
		require.Equal(t, big, one(t, b, "select '"+big+"'"))
	}
	all.Wait()
}
