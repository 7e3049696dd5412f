package broker

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// FuzzSCRAMServer: whatever a client sends, it proves nothing without the
// password, and what is refused is refused with a code.
func FuzzSCRAMServer(f *testing.F) {
	credentials := mockVerifier([]byte("secret"), "slug", "login")
	f.Add("n,,n=,r=abc", "c=biws,r=abc,p=AAAA")
	f.Add("y,,n=a=2Cb,r=abc,x=1", "c=eSws,r=abc,x=1,p="+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add("p=tls-exporter,,n=,r=a", "c=,r=,p=")
	f.Add("n,a=b,n=,r=a", "")
	f.Fuzz(func(t *testing.T, first, final string) {
		x, err := newExchange(credentials)
		require.NoError(t, err)
		reply, err := x.first([]byte(first))
		if err != nil {
			require.NotNil(t, asClientError(err))
			return
		}
		if len(reply) > 4*len(first)+200 {
			t.Fatalf("an answer of %d bytes to %d", len(reply), len(first))
		}
		// The fuzzer cannot know our nonce: give it the real one where it means it.
		nonce, _, _ := strings.Cut(strings.TrimPrefix(reply, "r="), ",")
		final = strings.Replace(final, "r=abc", "r="+nonce, 1)
		reply, proven, err := x.final([]byte(final))
		if proven || reply != "" {
			t.Fatal("proven without the password")
		}
		if err != nil {
			require.NotNil(t, asClientError(err))
		}
	})
}

// FuzzSCRAMClient: whatever a server sends, it proves nothing without the
// password, and makes us work within our bounds.
func FuzzSCRAMClient(f *testing.F) {
	f.Add("r=ourstheirs,s=c2FsdA==,i=4096", "v=AAAA")
	f.Add("r=ourstheirs,s=c2FsdA==,i=1000000,x=1", "e=other-error")
	f.Add("r=ours,s=,i=-1", "")
	f.Add("m=x,r=ourstheirs,s=c2FsdA==,i=4611686018427387904", "v=")
	client, err := scram.SHA256.NewClient("", "password", "")
	require.NoError(f, err)
	client.WithNonceGenerator(func() string { return "ours" })
	f.Fuzz(func(t *testing.T, first, final string) {
		talk := client.NewConversation()
		_, err := talk.Step("")
		require.NoError(t, err)
		if err := checkServerFirst(first, "ours"); err != nil {
			return
		}
		if !strings.Contains(first, ",i=4096") {
			return // accepted; but a million rounds of PBKDF2 teach the fuzzer nothing
		}
		reply, err := talk.Step(first)
		require.NoError(t, err, "accepted by our check, not by the library")
		require.Contains(t, reply, ",p=")
		if _, err := talk.Step(final); err == nil && talk.Valid() {
			t.Fatal("proven without the password")
		}
	})
}

// FuzzServerLogin: whatever bytes a server sends, the dial ends, and a server
// that came out of it was ready.
func FuzzServerLogin(f *testing.F) {
	add := func(messages ...pgproto3.BackendMessage) {
		var b []byte
		for _, m := range messages {
			b, _ = m.Encode(b)
		}
		f.Add(b)
	}
	add(&pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "a", Value: "b"},
		&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	add(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{mechanism}},
		&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x,s=c2FsdA==,i=4096")}, &pgproto3.AuthenticationSASLFinal{Data: []byte("v=AAAA")})
	add(&pgproto3.ErrorResponse{Code: "28000", Message: "no"})
	add(&pgproto3.AuthenticationMD5Password{}, &pgproto3.NoticeResponse{Message: "x"})
	d := &dialer{computing: newGate(1), keys: newKeyCache()}
	route := &registry.Route{Role: "role", Database: "database", Password: "password"}
	f.Fuzz(func(t *testing.T, sent []byte) {
		tape := &tape{Reader: bytes.NewReader(sent)}
		server, err := d.login(&line{Conn: tape}, route, nil)
		if (server == nil) == (err == nil) {
			t.Fatalf("%v and %v", server, err)
		}
		var refused *serverError
		if errors.As(err, &refused) && len(refused.Message) > len(sent) {
			t.Fatal("a message longer than what was sent")
		}
		if server != nil && sent[len(sent)-tape.Len()-1] != wire.Idle {
			t.Fatal("not ready, or read beyond it")
		}
	})
}

// tape is a connection whose other end has said all that it will.
type tape struct {
	net.Conn
	*bytes.Reader
}

func (c *tape) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c *tape) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (c *tape) SetDeadline(time.Time) error { return nil }
