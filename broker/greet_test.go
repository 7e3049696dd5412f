package broker_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
)

// townOfTwo has tenants "one" and "two" at a scripted server.
func townOfTwo(t testing.TB) *town {
	w := newTown()
	up := fakeUpstream(t)
	w.settle("one", up)
	w.settle("two", up)
	return w
}

// startsTLS asks for TLS on c and does the handshake.
func startsTLS(t testing.TB, c *fakepg.Client) *fakepg.Client {
	t.Helper()
	c.Send(&pgproto3.SSLRequest{})
	require.Equal(t, []byte{'S'}, readExactly(t, c, 1))
	secured := tls.Client(c.Conn.Conn, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, secured.Handshake())
	return fakepg.Over(t, secured)
}

func readExactly(t testing.TB, c *fakepg.Client, n int) []byte {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, n)
	_, err := c.Read(b)
	require.NoError(t, err)
	return b
}

func TestClientReachesItsTenant(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t)))
	require.Nil(t, c.Login(0, "right", "user", "one", "database", "one"))
	rows, failure := c.Query("hello")
	require.Nil(t, failure)
	require.Equal(t, []string{"hello"}, rows)
	require.Equal(t, "18.0", c.Params["server_version"])
}

func TestDatabaseDefaultsToTheUser(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t)))
	require.Nil(t, c.Login(0, "right", "user", "one"))
}

func TestClientReachesItsTenantOverTLS(t *testing.T) {
	c := startsTLS(t, fakepg.Dial(t, serve(t, townOfTwo(t), withTLS(t))))
	require.Nil(t, c.Login(0, "right", "user", "one"))
	rows, failure := c.Query("hello")
	require.Nil(t, failure)
	require.Equal(t, []string{"hello"}, rows)
}

func TestClientReachesItsTenantOverDirectTLS(t *testing.T) {
	address := serve(t, townOfTwo(t), withTLS(t))
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"postgresql"}})
	require.NoError(t, err)
	c := fakepg.Over(t, conn)
	require.Nil(t, c.Login(0, "right", "user", "one"))
}

func TestDirectTLSWithoutALPNIsRefused(t *testing.T) {
	address := serve(t, townOfTwo(t), withTLS(t))
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	refusal := fakepg.Over(t, conn).Refusal()
	require.NotNil(t, refusal)
	require.Equal(t, "08P01", refusal.Code)
	require.Contains(t, refusal.Message, "ALPN")
}

func TestTLSBelow12IsRefused(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t), withTLS(t)))
	c.Send(&pgproto3.SSLRequest{})
	require.Equal(t, []byte{'S'}, readExactly(t, c, 1))
	old := tls.Client(c.Conn.Conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.Error(t, old.Handshake())
}

func TestTLSIsDeclinedWithoutACertificate(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t)))
	c.Send(&pgproto3.SSLRequest{})
	require.Equal(t, []byte{'N'}, readExactly(t, c, 1))
	require.Nil(t, c.Login(0, "right", "user", "one"), "and the client may go on in clear")
}

func TestDirectTLSWithoutACertificateEndsTheConnection(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t)))
	c.SendBytes([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0})
	require.True(t, c.Ended())
}

func TestGSSEncryptionIsDeclinedAndTLSMayFollow(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t), withTLS(t)))
	c.Send(&pgproto3.GSSEncRequest{})
	require.Equal(t, []byte{'N'}, readExactly(t, c, 1))
	require.Nil(t, startsTLS(t, c).Login(0, "right", "user", "one"))
}

func TestEncryptionIsAskedForOnce(t *testing.T) {
	for name, request := range map[string]interface {
		Encode([]byte) ([]byte, error)
	}{"TLS": &pgproto3.SSLRequest{}, "GSS": &pgproto3.GSSEncRequest{}} {
		t.Run(name, func(t *testing.T) {
			c := fakepg.Dial(t, serve(t, townOfTwo(t)))
			c.Send(request)
			require.Equal(t, []byte{'N'}, readExactly(t, c, 1))
			c.Send(request)
			require.Equal(t, "0A000", c.Refusal().Code)
		})
	}
}

func TestBytesInClearBeforeTLSEndTheConnection(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t), withTLS(t)))
	c.Send(&pgproto3.SSLRequest{}, fakepg.Start{Pairs: []string{"user", "one"}})
	refusal := c.Refusal()
	require.NotNil(t, refusal)
	require.Equal(t, "08P01", refusal.Code)
	require.Contains(t, refusal.Message, "unencrypted data")
}

func TestClearConnectionIsRefusedWhereTLSIsRequired(t *testing.T) {
	address := serve(t, townOfTwo(t), withTLS(t), func(c *broker.Config) { c.RequireTLS = true })
	c := fakepg.Dial(t, address)
	failure := c.Login(0, "right", "user", "one")
	require.NotNil(t, failure)
	require.Equal(t, "28000", failure.Code)
	require.Contains(t, failure.Hint, "sslmode=require")
	require.Nil(t, startsTLS(t, fakepg.Dial(t, address)).Login(0, "right", "user", "one"))
}

// The whole ceremony and a query in one TCP segment: nothing that was read ahead
// may be lost at the hand-over. SCRAM has a challenge, so the segment is the last
// message of it, with the query behind.
func TestQueryInTheSegmentOfThePasswordIsAnswered(t *testing.T) {
	address := serve(t, townOfTwo(t), withTLS(t))
	for name, dial := range map[string]func() *fakepg.Client{
		"plain": func() *fakepg.Client { return fakepg.Dial(t, address) },
		"TLS":   func() *fakepg.Client { return startsTLS(t, fakepg.Dial(t, address)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := dial()
			held := &holding{Conn: c.Conn.Conn}
			c.Conn.Conn = held
			held.until = func(b []byte) bool { return bytes.Contains(b, []byte(",p=")) }
			held.behind, _ = (&pgproto3.Query{String: "at once"}).Encode(nil)
			require.Nil(t, c.Login(0, "right", "user", "one"))
			rows, failure := c.Rows()
			require.Nil(t, failure)
			require.Equal(t, []string{"at once"}, rows)
		})
	}
}

// TLS keeps what it has read of the next record: that too must reach the relay.
func TestQueryInTheNextTLSRecordOfTheSegmentIsAnswered(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t), withTLS(t)))
	socket := &gathering{Conn: c.Conn.Conn}
	c.Conn.Conn = socket
	c = startsTLS(t, c)
	secured := c.Conn.Conn
	c.Conn.Conn = &split{Conn: secured, socket: socket}
	require.Nil(t, c.Login(0, "right", "user", "one"))
	rows, failure := c.Rows()
	require.Nil(t, failure)
	require.Equal(t, []string{"at once"}, rows)
}

// split sends a query in a record of its own, but in the segment of the password.
type split struct {
	net.Conn
	socket *gathering
}

func (s *split) Write(b []byte) (int, error) {
	if !bytes.Contains(b, []byte(",p=")) {
		return s.Conn.Write(b)
	}
	s.socket.gather = true
	_, _ = s.Conn.Write(b)
	query, _ := (&pgproto3.Query{String: "at once"}).Encode(nil)
	_, _ = s.Conn.Write(query)
	s.socket.gather = false
	_, err := s.socket.Write(nil)
	return len(b), err
}

// gathering joins writes into one while told to.
type gathering struct {
	net.Conn
	gather bool
	held   []byte
}

func (g *gathering) Write(b []byte) (int, error) {
	g.held = append(g.held, b...)
	if g.gather {
		return len(b), nil
	}
	_, err := g.Conn.Write(g.held)
	g.held = nil
	return len(b), err
}

// holding sends behind in the same write as the one that until recognises.
type holding struct {
	net.Conn
	until  func([]byte) bool
	behind []byte
}

func (h *holding) Write(b []byte) (int, error) {
	if h.until(b) {
		b = append(bytes.Clone(b), h.behind...)
	}
	return h.Conn.Write(b)
}

func TestMinorVersionIsNegotiatedDown(t *testing.T) {
	address := serve(t, townOfTwo(t))
	for _, c := range []struct {
		asked, spoken uint32
		secret        int
	}{{3 << 16, 0, 4}, {3<<16 | 1, 0, 4}, {3<<16 | 2, 0, 32}, {3<<16 | 9999, 3<<16 | 2, 32}} {
		client := fakepg.Dial(t, address)
		require.Nil(t, client.Login(c.asked, "right", "user", "one"))
		require.Len(t, client.Key.SecretKey, c.secret)
		if c.spoken == 0 {
			require.Nil(t, client.Negotiated)
			continue
		}
		require.Equal(t, c.spoken, client.Negotiated.NewestMinorProtocol)
	}
}

func TestUnknownProtocolOptionsAreNamed(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t)))
	require.Nil(t, c.Login(0, "right", "user", "one", "_pq_.magic", "1", "_pq_.more", "2"))
	require.Equal(t, []string{"_pq_.magic", "_pq_.more"}, c.Negotiated.UnrecognizedOptions)
	require.EqualValues(t, 3<<16, c.Negotiated.NewestMinorProtocol)
}

func TestOtherMajorVersionsAreRefused(t *testing.T) {
	address := serve(t, townOfTwo(t))
	for _, version := range []uint32{2 << 16, 4 << 16, 0, 1<<32 - 1} {
		c := fakepg.Dial(t, address)
		c.Send(fakepg.Start{Version: max(version, 1), Pairs: []string{"user", "one"}})
		require.Equal(t, "0A000", c.Refusal().Code)
	}
}

func TestMalformedFirstPacketsLeaveTheBrokerServing(t *testing.T) {
	address := serve(t, townOfTwo(t))
	length := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	for name, c := range map[string]struct {
		bytes []byte
		code  string // "": closed without a word
	}{
		"length 0":                    {length(0, 0, 3, 0, 0), "08P01"},
		"length 3":                    {length(3), "08P01"},
		"length 4":                    {length(4), "08P01"},
		"length 7":                    {length(7, 0, 3, 0), "08P01"},
		"above PostgreSQL's limit":    {length(10005, 0, 3, 0, 0), "08P01"},
		"above 2^31":                  {length(1<<31+8, 1), "08P01"},
		"2 GB and one byte":           {length(2<<30-1, 1), "08P01"},
		"HTTP":                        {[]byte("GET / HTTP/1.1\r\n\r\n"), "08P01"},
		"a version and nothing":       {length(8, 0, 3, 0, 0), "08P01"},
		"no terminator":               {length(14, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0, 'x'), "08P01"},
		"no user":                     {length(9, 0, 3, 0, 0, 0), "28000"},
		"a cancel request cut short":  {length(12, 4, 210, 22, 46, 0, 0, 0, 1), ""},
		"a cancel request of nobody":  {length(16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2), ""},
		"a cancel request with 257 B": {append(length(269, 4, 210, 22, 46, 0, 0, 0, 1), make([]byte, 257)...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := fakepg.Dial(t, address)
			client.SendBytes(c.bytes)
			if c.code == "" {
				require.True(t, client.Ended())
			} else {
				require.Equal(t, c.code, client.Refusal().Code)
			}
			require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"))
		})
	}
}

func TestStartupOptions(t *testing.T) {
	address := serve(t, townOfTwo(t))
	for _, c := range []struct{ options, code string }{
		{"-c geqo=off --work-mem=8MB", ""},
		{`-c search_path=a\ b`, ""},
		{"-c=", "42601"},
		{"-c =x", "42601"},
		{"--=", "42601"},
		{"-c", "42601"},
		{`-c \`, "42601"},
		{"-d 5", "42601"},
		{"-c role=postgres", "55P02"},
		{"-c session_authorization=postgres", "55P02"},
		{"-c dermaga.pool_mode=session", ""},
		{"-c dermaga.pool_mode=sometimes", "22023"},
	} {
		failure := fakepg.Dial(t, address).Login(0, "right", "user", "one", "options", c.options)
		if c.code == "" {
			require.Nil(t, failure, c.options)
			continue
		}
		require.NotNil(t, failure, c.options)
		require.Equal(t, c.code, failure.Code, c.options)
	}
}

func TestPhysicalReplicationIsRefused(t *testing.T) {
	address := serve(t, townOfTwo(t))
	for value, code := range map[string]string{
		"true": "0A000", "on": "0A000", "1": "0A000", "yes": "0A000",
		"database": "42501", "Database": "42501",
		"perhaps": "22023",
		"false":   "", "off": "", "0": "",
	} {
		failure := fakepg.Dial(t, address).Login(0, "right", "user", "one", "replication", value)
		if code == "" {
			require.Nil(t, failure, value)
			continue
		}
		require.NotNil(t, failure, value)
		require.Equal(t, code, failure.Code, value)
		require.NotEmpty(t, failure.Hint)
	}
}

func TestSilenceEndsAtTheClientLoginTimeout(t *testing.T) {
	address := serve(t, townOfTwo(t), withTLS(t), func(c *broker.Config) { c.ClientLoginTimeout = 50 * time.Millisecond })
	for name, begin := range map[string][]byte{
		"nothing":       nil,
		"half a packet": {0, 0, 0, 50, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := fakepg.Dial(t, address)
			c.SendBytes(begin)
			refusal := c.Refusal()
			require.NotNil(t, refusal)
			require.Equal(t, []string{"FATAL", "57014", "client_login_timeout"}, []string{refusal.Severity, refusal.Code, refusal.Message})
		})
	}
	t.Run("half a TLS handshake, which no words fit into", func(t *testing.T) {
		c := fakepg.Dial(t, address)
		c.SendBytes([]byte{0x16, 3, 1, 2, 0, 1})
		require.True(t, c.Ended())
	})
	t.Run("a client that does not answer the challenge", func(t *testing.T) {
		c := fakepg.Dial(t, address)
		challenge(t, c, "one", "one")
		refusal := c.Refusal()
		require.NotNil(t, refusal)
		require.Equal(t, "client_login_timeout", refusal.Message)
	})
}
