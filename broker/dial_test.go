package broker_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
)

// loginThrough logs in to a tenant at up, and queries it, and returns how the
// login ended.
func loginThrough(t *testing.T, up upstream, change ...func(*broker.Config)) *pgproto3.ErrorResponse {
	t.Helper()
	w := newTown()
	w.settle("one", up)
	w.settle("two", fakeUpstream(t))
	// What passes by itself is waited for.
	hurry := func(c *broker.Config) { c.QueryWaitTimeout = time.Second }
	address := serve(t, w, append([]func(*broker.Config){hurry}, change...)...)
	c := fakepg.Dial(t, address)
	failure := c.Login(0, "right", "user", "one")
	if failure == nil {
		rows, failure := c.Query("hello")
		require.Nil(t, failure)
		require.Equal(t, []string{"hello"}, rows)
	}
	require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "two"), "another tenant is served")
	return failure
}

func TestLyingServersAreNotBelieved(t *testing.T) {
	raw := func(kind byte, length uint32, body string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, length), body...)
	}
	scram := func(lie fakepg.Lie) func(*fakepg.Conn) {
		return func(c *fakepg.Conn) {
			if c.SCRAM("upstream", lie) {
				c.Ready()
				c.Echo()
			}
		}
	}
	challenge := func(f func(string) string) func(*fakepg.Conn) { return scram(fakepg.Lie{First: f}) }
	sends := func(b []byte) func(*fakepg.Conn) {
		return func(c *fakepg.Conn) {
			c.SendBytes(b)
			c.Ended()
		}
	}
	for name, script := range map[string]func(*fakepg.Conn){
		"a long nonce":             challenge(func(m string) string { return strings.Replace(m, ",s=", strings.Repeat("n", 600)+",s=", 1) }),
		"a very long nonce":        challenge(func(m string) string { return strings.Replace(m, ",s=", strings.Repeat("n", 1<<16)+",s=", 1) }),
		"a changed nonce":          challenge(func(m string) string { return "r=x" + m[3:] }),
		"our nonce only":           challenge(func(m string) string { return m[:strings.Index(m, ",")-32] + ",s=AAAA,i=4096" }),
		"no nonce":                 challenge(func(m string) string { return m[strings.Index(m, ",")+1:] }),
		"no salt":                  challenge(func(m string) string { return m[:strings.Index(m, ",s=")] + ",i=4096" }),
		"an empty salt":            challenge(func(m string) string { return m[:strings.Index(m, ",s=")] + ",s=,i=4096" }),
		"a salt that is no base64": challenge(func(m string) string { return m[:strings.Index(m, ",s=")] + ",s=!,i=4096" }),
		"no iterations":            challenge(func(m string) string { return strings.TrimSuffix(m, ",i=4096") }),
		"iterations that are none": challenge(func(m string) string { return strings.Replace(m, "i=4096", "i=many", 1) }),
		"too many iterations":      challenge(func(m string) string { return strings.Replace(m, "i=4096", "i=1000001", 1) }),
		"2^62 iterations":          challenge(func(m string) string { return strings.Replace(m, "i=4096", "i=4611686018427387904", 1) }),
		"too few iterations":       scram(fakepg.Lie{Iters: 1}),
		"negative iterations":      challenge(func(m string) string { return strings.Replace(m, "i=4096", "i=-1", 1) }),
		"a doubled field":          challenge(func(m string) string { return m + ",i=4096" }),
		"an empty challenge":       challenge(func(string) string { return "" }),
		"an extension first":       challenge(func(m string) string { return "m=x," + m }),
		"a wrong signature":        scram(fakepg.Lie{Final: func(m string) string { return "v=" + strings.Repeat("A", 43) + "=" }}),
		"an empty signature":       scram(fakepg.Lie{Final: func(string) string { return "v=" }}),
		"no signature":             scram(fakepg.Lie{Final: func(string) string { return "" }}),
		"a SCRAM error":            scram(fakepg.Lie{Final: func(string) string { return "e=other-error" }}),
		"another password":         func(c *fakepg.Conn) { c.SCRAM("another", fakepg.Lie{}) },
		"ok before its proof": func(c *fakepg.Conn) {
			c.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
			c.Next()
			c.Ready()
		},
		"a clear-text request": func(c *fakepg.Conn) { c.Send(&pgproto3.AuthenticationCleartextPassword{}); c.Ended() },
		"an MD5 request":       func(c *fakepg.Conn) { c.Send(&pgproto3.AuthenticationMD5Password{}); c.Ended() },
		"a Kerberos request":   sends(raw('R', 8, "\x00\x00\x00\x02")),
		"other mechanisms": func(c *fakepg.Conn) {
			c.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"OAUTHBEARER"}})
			c.Ended()
		},
		"unterminated mechanisms":      sends(raw('R', 11, "\x00\x00\x00\x0aSCR")),
		"authentication cut short":     sends(raw('R', 6, "\x00\x00")),
		"an unknown message":           sends(raw('?', 8, "abcd")),
		"a length of 0":                sends(raw('R', 0, "")),
		"a length of 3":                sends(raw('R', 3, "")),
		"2 GB and one byte":            sends(raw('R', 1<<31-1, "x")),
		"more than 2^31":               sends(raw('R', 1<<32-1, "x")),
		"nothing":                      func(*fakepg.Conn) {},
		"half a message":               func(c *fakepg.Conn) { c.SendBytes([]byte{'R', 0, 0}) },
		"an empty error":               sends(raw('E', 5, "\x00")),
		"an error cut short":           sends(raw('E', 8, "SFAT")),
		"an error of nothing":          sends(raw('E', 4, "")),
		"rows at once":                 func(c *fakepg.Conn) { c.Send(&pgproto3.DataRow{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}); c.Ended() },
		"a query's answer after login": func(c *fakepg.Conn) { c.Send(&pgproto3.AuthenticationOk{}, &pgproto3.DataRow{}); c.Ended() },
		"a second login":               func(c *fakepg.Conn) { c.Send(&pgproto3.AuthenticationOk{}, &pgproto3.AuthenticationSASL{}); c.Ended() },
		"a transaction": func(c *fakepg.Conn) {
			c.Send(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'T'})
			c.Ended()
		},
		"no transaction state": func(c *fakepg.Conn) { c.Send(&pgproto3.AuthenticationOk{}); c.SendBytes(raw('Z', 4, "")); c.Ended() },
		"a short key":          func(c *fakepg.Conn) { c.Send(&pgproto3.AuthenticationOk{}); c.SendBytes(raw('K', 6, "ab")); c.Ended() },
		"a broken parameter": func(c *fakepg.Conn) {
			c.Send(&pgproto3.AuthenticationOk{})
			c.SendBytes(raw('S', 8, "abcd"))
			c.Ended()
		},
		"endless notices": func(c *fakepg.Conn) {
			for n := 0; n < 100_000; n++ {
				if _, err := c.Write(raw('N', 5, "\x00")); err != nil {
					return
				}
			}
		},
		"endless parameters": func(c *fakepg.Conn) {
			c.Send(&pgproto3.AuthenticationOk{})
			for n := 0; n < 100_000; n++ {
				if _, err := c.Write(raw('S', 8, "a\x00b\x00")); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failure := loginThrough(t, scripted(t, func(c *fakepg.Conn) {
				if _, ok := c.Startup(); ok {
					script(c)
				}
			}))
			require.NotNil(t, failure)
			require.Equal(t, "08006", failure.Code)
			require.NotEmpty(t, failure.Message)
		})
	}
}

func TestServersOwnErrorIsPassedOn(t *testing.T) {
	for _, c := range []struct{ code, told string }{
		{"53300", "53300"}, {"57P03", "57P03"}, {"28000", "08006"}, {"28P01", "08006"}, {"3D000", "3D000"}, {"", "08006"}, {"XXXXXXXXX", "08006"},
	} {
		failure := loginThrough(t, scripted(t, func(s *fakepg.Conn) {
			s.Startup()
			s.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: c.code, Message: "too much of something"})
		}))
		require.NotNil(t, failure)
		require.Equal(t, c.told, failure.Code)
		require.Regexp(t, `^The server said: too much of something\nThis is connection [0-9a-f]{6}-1 in the broker.s log\.$`, failure.Detail)
	}
}

func TestServerThatTrustsIsTaken(t *testing.T) {
	require.Nil(t, loginThrough(t, scripted(t, func(c *fakepg.Conn) {
		c.Startup()
		c.Ready()
		c.Echo()
	})))
}

func TestServerThatCannotBeReachedIsSaid(t *testing.T) {
	up := fakeUpstream(t)
	up.server.Port = 1 // nobody listens there
	failure := loginThrough(t, up)
	require.NotNil(t, failure)
	require.Equal(t, "08006", failure.Code)
	require.NotContains(t, failure.Message+failure.Detail+failure.Hint, "upstream")
}

func TestSilentServerEndsAtTheConnectTimeout(t *testing.T) {
	failure := loginThrough(t, scripted(t, func(c *fakepg.Conn) {
		c.Startup()
		c.Ended()
	}), func(c *broker.Config) { c.ServerConnectTimeout = 100 * time.Millisecond })
	require.NotNil(t, failure)
	require.Equal(t, "08006", failure.Code)
}

// A server that sends one byte at a time is slow, not wrong.
func TestServerMayDribble(t *testing.T) {
	require.Nil(t, loginThrough(t, scripted(t, func(c *fakepg.Conn) {
		c.Conn = dribbling{c.Conn}
		if _, ok := c.Startup(); ok && c.SCRAM("upstream", fakepg.Lie{}) {
			c.Ready()
			c.Echo()
		}
	})))
}

type dribbling struct{ net.Conn }

func (d dribbling) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestSSLModesAreLibpqs(t *testing.T) {
	cert, ca := certificate(t)
	away, awayCA := certificate(t, "elsewhere.test")
	const (
		speaksTLS = 1 << iota
		onlyTLS   // refuses logins in clear
		onlyClear // refuses logins under TLS
		elsewhere // shows a certificate for another host
	)
	for _, c := range []struct {
		mode, ca, host string
		server         int
		ok             bool
	}{
		{"disable", "", "", 0, true},
		{"disable", "", "", speaksTLS, true},
		{"disable", "", "", speaksTLS | onlyTLS, false},
		{"allow", "", "", 0, true},
		{"allow", "", "", speaksTLS | onlyTLS, true},
		{"allow", "", "", speaksTLS | onlyClear, true},
		{"prefer", "", "", 0, true},
		{"prefer", "", "", speaksTLS, true},
		{"prefer", "", "", speaksTLS | onlyTLS, true},
		{"prefer", "", "", speaksTLS | onlyClear, true},
		{"require", "", "", 0, false},
		{"require", "", "", speaksTLS, true},
		{"require", ca, "", speaksTLS, true},
		{"require", awayCA, "", speaksTLS, false},
		{"verify-ca", ca, "", speaksTLS, true},
		{"verify-ca", awayCA, "", speaksTLS | elsewhere, true},
		{"verify-ca", awayCA, "", speaksTLS, false},
		{"verify-ca", "", "", speaksTLS, false},
		{"verify-ca", "no PEM", "", speaksTLS, false},
		{"verify-ca", ca, "", 0, false},
		{"verify-full", ca, "", speaksTLS, true},
		{"verify-full", ca, "localhost", speaksTLS, true},
		{"verify-full", awayCA, "", speaksTLS | elsewhere, false},
		{"verify-full", awayCA, "localhost", speaksTLS | elsewhere, false},
		{"verify-full", awayCA, "", speaksTLS, false},
		{"verify-full", "", "", speaksTLS, false},
		{"sideways", "", "", speaksTLS, false},
	} {
		up := scripted(t, func(s *fakepg.Conn) {
			secured := false
			body := s.Packet()
			if len(body) == 4 && c.server&speaksTLS != 0 {
				s.SendBytes([]byte{'S'})
				shown := cert
				if c.server&elsewhere != 0 {
					shown = away
				}
				over := tls.Server(s.Conn, &tls.Config{Certificates: []tls.Certificate{shown}})
				if over.Handshake() != nil {
					return
				}
				s.Conn, secured = over, true
				body = s.Packet()
			} else if len(body) == 4 {
				s.SendBytes([]byte{'N'})
				body = s.Packet()
			}
			if body == nil {
				return
			}
			if secured && c.server&onlyClear != 0 || !secured && c.server&onlyTLS != 0 {
				s.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28000", Message: "no pg_hba.conf entry"})
				return
			}
			if s.SCRAM("upstream", fakepg.Lie{}) {
				s.Ready()
				s.Echo()
			}
		})
		up.server.SSLMode, up.server.CAPEM = c.mode, c.ca
		if c.host != "" {
			up.server.Host = c.host
		}
		failure := loginThrough(t, up)
		require.Equal(t, c.ok, failure == nil, "%s of host %q against %b: %v", c.mode, c.host, c.server, failure)
	}
}

func TestCheckProvesThatALoginWorks(t *testing.T) {
	w := newTown()
	w.settle("one", fakeUpstream(t))
	b, _ := serveBroker(t, w)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, b.Check(ctx, "one", "one", "right"))
	require.ErrorContains(t, b.Check(ctx, "one", "one", "wrong"), "does not accept the password")
	require.ErrorContains(t, b.Check(ctx, "one", "nobody", "right"), "no such")
}
