package fakepg

import (
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

// A Client is a connection to a server under test.
type Client struct {
	Conn
	// What the server said during Login.
	Params     map[string]string
	Key        pgproto3.BackendKeyData
	Negotiated *pgproto3.NegotiateProtocolVersion
}

// Dial connects; the connection is closed at the test's end.
func Dial(t testing.TB, address string) *Client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return Over(t, conn)
}

// Over makes a Client of a connection, such as one with TLS.
func Over(t testing.TB, conn net.Conn) *Client {
	t.Cleanup(func() { _ = conn.Close() })
	return &Client{Conn: Conn{Conn: conn, T: t}, Params: map[string]string{}}
}

// Start is a StartupMessage whose parameters, names and values in turn, keep
// their order, and may be doubled or malformed.
type Start struct {
	Version uint32 // 0: 3.0
	Pairs   []string
}

// Encode implements pgproto3's message.
func (s Start) Encode(dst []byte) ([]byte, error) {
	version := s.Version
	if version == 0 {
		version = 3 << 16
	}
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, version)
	for _, text := range s.Pairs {
		dst = append(append(dst, text...), 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst, nil
}

// Login logs in with a protocol version and startup parameters and returns nil
// at ReadyForQuery, or the error that the server sent. The connection's end
// without an error is a fault of the test.
func (c *Client) Login(version uint32, password string, pairs ...string) *pgproto3.ErrorResponse {
	c.T.Helper()
	c.Send(Start{Version: version, Pairs: pairs})
	return c.Prove(password)
}

// Prove is Login after its StartupMessage.
func (c *Client) Prove(password string) *pgproto3.ErrorResponse {
	c.T.Helper()
	talk := keys(password).NewConversation()
	for {
		kind, body := c.Next()
		switch kind {
		case 0:
			c.T.Fatal("the connection ended during the login without an error")
		case 'E':
			return c.failure(body)
		case 'v':
			c.Negotiated = &pgproto3.NegotiateProtocolVersion{}
			c.decode(c.Negotiated, body)
		case 'R':
			c.answer(talk, body)
		case 'S':
			var m pgproto3.ParameterStatus
			c.decode(&m, body)
			c.Params[m.Name] = m.Value
		case 'K':
			c.decode(&c.Key, body)
		case 'Z':
			return nil
		}
	}
}

// known are clients' sides of SCRAM by password. They remember the keys that they
// derive, which is nearly all that a login costs.
var known sync.Map

func keys(password string) *scram.Client {
	if c, ok := known.Load(password); ok {
		return c.(*scram.Client)
	}
	c, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		panic(err) // it has no cause to
	}
	had, _ := known.LoadOrStore(password, c.WithMinIterations(1))
	return had.(*scram.Client)
}

// answer answers a request for authentication.
func (c *Client) answer(talk *scram.ClientConversation, body []byte) {
	c.T.Helper()
	step := func(challenge []byte) []byte {
		reply, err := talk.Step(string(challenge))
		if err != nil {
			c.T.Fatalf("SCRAM: %v", err)
		}
		return []byte(reply)
	}
	switch binary.BigEndian.Uint32(body) {
	case pgproto3.AuthTypeSASL:
		c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: step(nil)})
	case pgproto3.AuthTypeSASLContinue:
		c.Send(&pgproto3.SASLResponse{Data: step(body[4:])})
	case pgproto3.AuthTypeSASLFinal:
		step(body[4:])
	case pgproto3.AuthTypeOk:
		if !talk.Valid() {
			c.T.Error("let in without a proof of the server's")
		}
	}
}

// Refusal reads up to an ErrorResponse and then the end of the connection.
// Where the connection ends without one it returns nil.
func (c *Client) Refusal() *pgproto3.ErrorResponse {
	c.T.Helper()
	var refusal *pgproto3.ErrorResponse
	for {
		kind, body := c.Next()
		switch kind {
		case 0:
			return refusal
		case 'E':
			refusal = c.failure(body)
		}
	}
}

// Query runs a simple query and returns the first column of its rows, or its error.
func (c *Client) Query(sql string) ([]string, *pgproto3.ErrorResponse) {
	c.T.Helper()
	c.Send(&pgproto3.Query{String: sql})
	return c.Rows()
}

// Rows reads up to the next ReadyForQuery.
func (c *Client) Rows() (rows []string, failure *pgproto3.ErrorResponse) {
	c.T.Helper()
	for {
		kind, body := c.Next()
		switch kind {
		case 0:
			if failure == nil {
				c.T.Fatal("the connection ended before ReadyForQuery")
			}
			return rows, failure
		case 'D':
			var m pgproto3.DataRow
			c.decode(&m, body)
			rows = append(rows, string(m.Values[0]))
		case 'E':
			failure = c.failure(body)
		case 'S':
			var m pgproto3.ParameterStatus
			c.decode(&m, body)
			c.Params[m.Name] = m.Value
		case 'Z':
			return rows, failure
		}
	}
}

func (c *Client) failure(body []byte) *pgproto3.ErrorResponse {
	var m pgproto3.ErrorResponse
	c.decode(&m, body)
	return &m
}

func (c *Client) decode(m interface{ Decode([]byte) error }, body []byte) {
	c.T.Helper()
	if err := m.Decode(body); err != nil {
		c.T.Fatalf("decode %T: %v", m, err)
	}
}
