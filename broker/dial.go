package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// A dialer opens connections to servers. Safe for concurrent use.
type dialer struct {
	timeout   time.Duration // for all of a dial, from the first packet to ReadyForQuery
	untaken   time.Duration // see Config.TCPUserTimeout
	computing gate
	keys      *keyCache
}

// dial opens a connection to route's server and logs in: SSLRequest by sslmode,
// StartupMessage, SCRAM, and on to the first ReadyForQuery, with nothing read
// beyond it. startup has further parameters. A *serverError in the chain is the
// server's own.
func (d *dialer) dial(ctx context.Context, route *registry.Route, startup map[string]string) (*relay.Server, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errDialTimeout)
	defer cancel()
	tries, err := encryptions(route.Server.SSLMode)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", route.Server.Name, err)
	}
	var server *relay.Server
	for i, try := range tries {
		var encrypted bool
		encrypted, err = d.attempt(ctx, route.Server, try, func(l *line) (err error) {
			server, err = d.login(l, route, startup)
			return err
		})
		if err == nil {
			return server, nil
		}
		if i+1 < len(tries) && !retryOther(err, encrypted, tries[i+1]) {
			break
		}
	}
	return nil, fmt.Errorf("dial %s: %w", route.Server.Name, err)
}

// attempt connects to s and calls talk with the connection. Within both, the end
// of ctx interrupts what is read or written. The connection stays open only if
// all went well.
func (d *dialer) attempt(ctx context.Context, s registry.Server, e encryption, talk func(*line) error) (encrypted bool, err error) {
	network, address := "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	if filepath.IsAbs(s.Host) { // a folder with a Unix-domain socket, as libpq has it
		network, address, e = "unix", filepath.Join(s.Host, ".s.PGSQL."+strconv.Itoa(s.Port)), plain
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return false, withCause(ctx, err)
	}
	tend(conn, d.untaken)
	uninterrupted := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	l, encrypted, err := d.encrypt(conn, s, e)
	if err == nil {
		err = talk(l)
	}
	if !uninterrupted() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
	}
	return encrypted, err
}

var errDialTimeout = errors.New("server_connect_timeout is over")

// withCause puts the reason why ctx ended in the place of the time-out that it
// made of a read or write.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// An encryption is how one attempt goes about TLS.
type encryption uint8

const (
	plain  encryption = iota // do not ask
	offer                    // ask, and go on without if the server has none
	insist                   // ask, and give up if the server has none
)

// encryptions are the attempts that libpq makes for an sslmode, in order
// (PostgreSQL 18 manual, 32.19.3).
func encryptions(sslmode string) ([]encryption, error) {
	switch sslmode {
	case "disable":
		return []encryption{plain}, nil
	case "allow":
		return []encryption{plain, insist}, nil
	case "prefer", "":
		return []encryption{offer, plain}, nil
	case "require", "verify-ca", "verify-full":
		return []encryption{insist}, nil
	}
	return nil, fmt.Errorf("sslmode %q: want disable, allow, prefer, require, verify-ca or verify-full", sslmode)
}

// retryOther reports whether the next attempt could do better: the server would
// not let us in with, or without, encryption, or its TLS is broken.
func retryOther(err error, encrypted bool, next encryption) bool {
	var refused *serverError
	if errors.As(err, &refused) {
		differs := encrypted == (next == plain)
		return differs && refused.Code == pgerrcode.InvalidAuthorizationSpecification
	}
	var handshake *handshakeError
	return errors.As(err, &handshake)
}

type handshakeError struct{ cause error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.cause.Error() }
func (e *handshakeError) Unwrap() error { return e.cause }

// encrypt asks the server at the other end of conn for TLS, as e and s say.
func (d *dialer) encrypt(conn net.Conn, s registry.Server, e encryption) (l *line, encrypted bool, err error) {
	l = &line{Conn: conn}
	if e == plain {
		return l, false, nil
	}
	l.say(&pgproto3.SSLRequest{})
	if err := l.flush(); err != nil {
		return nil, false, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, false, err
	}
	switch answer[0] {
	case 'S':
		cfg, err := clientTLS(s)
		if err != nil {
			return nil, true, err
		}
		secured, err := d.handshake(conn.(*net.TCPConn), cfg)
		if err != nil {
			return nil, true, err
		}
		return &line{Conn: secured}, true, nil
	case 'N':
		if e == insist {
			return nil, false, errors.New("the server does not support TLS, which sslmode asks for")
		}
		return l, false, nil
	}
	return nil, false, fmt.Errorf("the server answered the request for TLS with byte %d", answer[0])
}

func (d *dialer) handshake(conn *net.TCPConn, cfg *tls.Config) (*poll.TLS, error) {
	socket := &gated{TCPConn: conn, pass: d.computing}
	secured := poll.ClientTLS(socket, cfg)
	d.computing.enter()
	err := secured.Handshake()
	d.computing.leave()
	socket.pass = nil
	if err != nil {
		return nil, &handshakeError{err}
	}
	return secured, nil
}

// clientTLS is what the broker asks of a server's certificate: nothing; that a
// known authority signed it (require with a CA means that too, as in libpq);
// or also that it is for the host we called.
func clientTLS(s registry.Server) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		NextProtos:                  []string{alpn},
		DynamicRecordSizingDisabled: true,
		InsecureSkipVerify:          true, // VerifyConnection below does what sslmode asks for
	}
	if net.ParseIP(s.Host) == nil {
		cfg.ServerName = s.Host
	}
	verify := s.SSLMode == "verify-ca" || s.SSLMode == "verify-full" || s.SSLMode == "require" && s.CAPEM != ""
	if !verify {
		return cfg, nil
	}
	var roots *x509.CertPool // nil: the system's
	switch {
	case s.CAPEM != "":
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(s.CAPEM)) {
			return nil, errors.New("the server's CA holds no certificate in PEM form")
		}
	case s.SSLMode != "verify-full":
		// Whom the system trusts signs for anybody, so the name has to be checked.
		return nil, errors.New("sslmode verify-ca needs the server's CA; with the system's authorities use verify-full")
	}
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		if s.SSLMode == "verify-full" {
			options.DNSName = s.Host
		}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
	return cfg, nil
}

// Bounds of what a server may send during a login: PostgreSQL sends about 20
// messages of at most a few hundred bytes.
const (
	maxLoginMessage  = 32 << 10
	maxLoginMessages = 500
)

// login logs in over l, up to and with the first ReadyForQuery.
func (d *dialer) login(l *line, route *registry.Route, startup map[string]string) (*relay.Server, error) {
	l.say(startupMessage(route, startup))
	if err := l.flush(); err != nil {
		return nil, err
	}
	if err := d.prove(l, route); err != nil {
		return nil, err
	}
	server := &relay.Server{}
	for range maxLoginMessages {
		kind, body, err := l.hear(maxLoginMessage)
		if err != nil {
			return nil, err
		}
		switch kind {
		case wire.ParameterStatus:
			var m pgproto3.ParameterStatus
			if err := m.Decode(body); err != nil {
				return nil, fmt.Errorf("server: %w", err)
			}
			server.Params = append(server.Params, relay.Param{Name: m.Name, Value: m.Value})
		case backendKeyData:
			var m pgproto3.BackendKeyData
			if err := m.Decode(body); err != nil {
				return nil, fmt.Errorf("server: %w", err)
			}
			server.Key = relay.BackendKey{PID: m.ProcessID, Secret: slices.Clone(m.SecretKey)}
		case wire.ReadyForQuery:
			if string(body) != "I" {
				return nil, fmt.Errorf("server is ready in state %q", body)
			}
			server.Conn = l.Conn
			return server, nil
		case wire.Error:
			return nil, &serverError{wire.ParseError(body)}
		case wire.Notice:
		default:
			return nil, fmt.Errorf("server sent message type %d during login", kind)
		}
	}
	return nil, fmt.Errorf("server sent %d messages and was not ready", maxLoginMessages)
}

const backendKeyData = 'K'
