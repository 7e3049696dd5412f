package fakepg

import (
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

const (
	sslRequest    = 80877103
	gssEncRequest = 80877104
	cancelRequest = 80877102
)

// Server is a listening scripted server.
type Server struct {
	Host string
	Port int

	t       testing.TB
	ln      net.Listener
	mu      sync.Mutex
	conns   map[net.Conn]bool
	scripts sync.WaitGroup
}

// Serve starts a server on a free port of loopback. script plays each
// connection, in a goroutine of its own; the connection is closed when it
// returns. At the test's end all connections are closed and scripts waited for.
func Serve(t testing.TB, script func(c *Conn)) *Server {
	t.Helper()
	return ServeAt(t, "127.0.0.1:0", script)
}

// ServeAt is Serve at a given address.
func ServeAt(t testing.TB, address string, script func(c *Conn)) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	s := &Server{Host: addr.IP.String(), Port: addr.Port, t: t, ln: ln, conns: map[net.Conn]bool{}}
	s.scripts.Add(1)
	go func() {
		defer s.scripts.Done()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.scripts.Add(1)
			go func() {
				defer s.scripts.Done()
				defer s.forget(conn)
				script(&Conn{Conn: conn, T: t, server: true})
			}()
		}
	}()
	t.Cleanup(s.close)
	return s
}

func (s *Server) forget(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

func (s *Server) close() {
	_ = s.ln.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.scripts.Wait()
}

// Startup reads first packets up to a StartupMessage; requests for encryption
// are declined. ok is false when the client went away or only cancelled.
func (c *Conn) Startup() (m pgproto3.StartupMessage, ok bool) {
	for {
		body := c.Packet()
		if body == nil {
			return m, false
		}
		switch binary.BigEndian.Uint32(body) {
		case sslRequest, gssEncRequest:
			c.SendBytes([]byte{'N'})
		case cancelRequest:
			return m, false
		default:
			if err := m.Decode(body); err != nil {
				c.T.Errorf("startup message: %v", err)
				return m, false
			}
			return m, true
		}
	}
}

// Ready sends what follows an accepted login.
func (c *Conn) Ready() {
	c.Send(&pgproto3.AuthenticationOk{},
		&pgproto3.ParameterStatus{Name: "server_version", Value: "18.0"},
		&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"},
		&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}},
		&pgproto3.ReadyForQuery{TxStatus: 'I'})
}

// Echo answers simple queries and Terminate until the client goes: each query
// with one row holding its text.
func (c *Conn) Echo() {
	for {
		kind, body := c.Next()
		switch kind {
		case 'Q':
			text := body[:len(body)-1]
			c.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("text"), DataTypeOID: 25, DataTypeSize: -1}}},
				&pgproto3.DataRow{Values: [][]byte{text}},
				&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
				&pgproto3.ReadyForQuery{TxStatus: 'I'})
		case 'X', 0:
			return
		}
	}
}

// A Lie is where a server's side of SCRAM departs from the truth. A nil function
// leaves a message as it is.
type Lie struct {
	First func(message string) string // of the server-first-message
	Final func(message string) string // of the server-final-message
	Salt  string                      // "": sixteen bytes
	Iters int                         // 0: 4096
}

// SCRAM plays the server's side for a password, telling lie. It returns false
// when the client went away, or could not prove the password. AuthenticationOk is
// left to the script.
func (c *Conn) SCRAM(password string, lie Lie) bool {
	client := keys(password)
	factors := scram.KeyFactors{Salt: "sixteen bytes 16", Iters: 4096}
	if lie.Salt != "" {
		factors.Salt = lie.Salt
	}
	if lie.Iters != 0 {
		factors.Iters = lie.Iters
	}
	credentials, err := client.GetStoredCredentialsWithError(factors)
	if err != nil {
		c.T.Errorf("SCRAM: %v", err)
		return false
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return credentials, nil })
	if err != nil {
		c.T.Errorf("SCRAM: %v", err)
		return false
	}
	talk := server.NewConversation()

	c.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
	kind, body := c.Next()
	if kind != 'p' {
		return false
	}
	var initial pgproto3.SASLInitialResponse
	if err := initial.Decode(body); err != nil {
		c.T.Errorf("SASLInitialResponse: %v", err)
		return false
	}
	first, err := talk.Step(string(initial.Data))
	if err != nil {
		c.T.Errorf("client-first-message: %v", err)
		return false
	}
	if lie.First != nil {
		first = lie.First(first)
	}
	c.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte(first)})
	if kind, body = c.Next(); kind != 'p' {
		return false
	}
	final, err := talk.Step(string(body))
	if err != nil {
		return false
	}
	if lie.Final != nil {
		final = lie.Final(final)
	}
	c.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte(final)})
	return true
}
