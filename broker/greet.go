package broker

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// A hello is a client that has said who it wants to be and where it wants to
// go. Nothing of it is proven.
type hello struct {
	line           *line
	remote         string
	version        wire.Version // as spoken from here on
	user, database string
	settings       []relay.Param // startup parameters and options, the later one of a name counting
	mode           string        // pool mode asked for, "" when none was
	replication    bool          // it wants to replicate a database
}

// errNoHello ends a connection that was only there to cancel a query.
var errNoHello = errors.New("cancel request")

// tlsRecord is the first byte of a TLS handshake. As the first byte of a length
// word it would announce hundreds of megabytes, so the two cannot be confused.
const tlsRecord = 0x16

// greet reads the first packets from l: direct TLS, TLS upgrade, version
// negotiation (PostgreSQL 18 manual, 54.2.1 and 54.2.10 to 12). A cancel request
// is acted upon and has no hello.
func (b *Broker) greet(l *line) (hello, error) {
	encrypted, err := b.greetDirect(l)
	if err != nil {
		return hello{}, err
	}
	// Each kind of encryption may be asked for once; asked again, the request's
	// code is taken for a version that nobody speaks, as in PostgreSQL.
	askedTLS, askedGSS := encrypted, encrypted
	for {
		body, err := l.firstPacket()
		if err != nil {
			return hello{}, err
		}
		switch code := wire.Code(body); {
		case code == wire.CancelRequestCode:
			if pid, secret, ok := wire.ParseCancel(body); ok {
				b.cancel(l, pid, secret)
			}
			return hello{}, errNoHello
		case code == wire.GSSENCRequestCode && !askedGSS:
			askedGSS = true
			err = l.answer('N')
		case code == wire.SSLRequestCode && !askedTLS && b.tls == nil:
			askedTLS = true
			err = l.answer('N')
		case code == wire.SSLRequestCode && !askedTLS:
			encrypted, askedTLS, askedGSS = true, true, true
			err = b.upgrade(l)
		case b.cfg.RequireTLS && !encrypted:
			err = errTLSRequired
		default:
			return startup(l, body)
		}
		if err != nil {
			return hello{}, err
		}
	}
}

// greetDirect does the handshake of a client that begins with TLS.
func (b *Broker) greetDirect(l *line) (encrypted bool, err error) {
	first, err := peek(l.socket, true)
	switch {
	case err != nil:
		return false, err
	case first != tlsRecord:
		return false, nil
	case b.tls == nil:
		return false, &handshakeError{errors.New("direct, but the broker has no certificate")}
	}
	if err := b.encrypt(l); err != nil {
		return false, err
	}
	if l.Conn.(*poll.TLS).ConnectionState().NegotiatedProtocol != alpn {
		return false, errNoALPN
	}
	return true, nil
}

// upgrade answers an SSLRequest with TLS.
func (b *Broker) upgrade(l *line) error {
	// Whatever came after the request came in clear, and must not be taken for
	// something said under TLS (CVE-2021-23214).
	if _, err := peek(l.socket, false); err == nil {
		return errClearBytes
	}
	if err := l.answer('S'); err != nil {
		return err
	}
	return b.encrypt(l)
}

// startup reads a StartupMessage and queues what version negotiation has to say.
func startup(l *line, body []byte) (hello, error) {
	version := wire.Version(wire.Code(body))
	if version.Major() != wire.Version30.Major() {
		return hello{}, errVersion(version)
	}
	s, err := wire.ParseStartup(body)
	if err != nil {
		return hello{}, err
	}
	replication, err := replicates(s.Replication)
	if err != nil {
		return hello{}, err
	}
	if s.Version > wire.Version32 || len(s.Extensions) > 0 {
		l.say(&pgproto3.NegotiateProtocolVersion{
			NewestMinorProtocol: uint32(min(s.Version, wire.Version32)),
			UnrecognizedOptions: s.Extensions,
		})
	}
	h := hello{line: l, remote: l.remote(), version: min(s.Version, wire.Version32), user: s.User, database: s.Database, replication: replication}
	// PostgreSQL sets the options first, so a parameter of its own wins.
	options, err := wire.ParseOptions(s.Options)
	if err != nil {
		return hello{}, err
	}
	for _, setting := range slices.Concat(options, s.Settings) {
		if err := h.set(setting); err != nil {
			return hello{}, err
		}
	}
	return h, nil
}

// modeSetting is the startup parameter by which a client chooses its pool mode.
const modeSetting = "dermaga.pool_mode"

// fixed are parameters that PostgreSQL itself decides, or, as for role, that
// would make a server connection somebody else's.
var fixed = []string{
	"role", "session_authorization", "is_superuser", "in_hot_standby",
	"server_version", "server_version_num", "server_encoding", "integer_datetimes",
}

// set takes one startup parameter.
func (h *hello) set(s wire.Setting) error {
	lower := strings.ToLower(s.Name)
	switch {
	case !wire.ValidSettingName(s.Name):
		return errSettingName(s.Name)
	case slices.Contains(fixed, lower):
		return errSettingFixed(s.Name)
	case lower == modeSetting:
		if _, ok := modes[s.Value]; !ok {
			return errSettingValue(modeSetting, s.Value, registry.PoolModes...)
		}
		h.mode = s.Value
		return nil
	}
	same := func(p relay.Param) bool { return strings.EqualFold(p.Name, s.Name) }
	if i := slices.IndexFunc(h.settings, same); i >= 0 {
		h.settings[i].Value = s.Value
		return nil
	}
	h.settings = append(h.settings, relay.Param{Name: s.Name, Value: s.Value})
	return nil
}

// encrypt does the TLS handshake on l.
func (b *Broker) encrypt(l *line) error {
	socket := &gated{TCPConn: l.socket, pass: b.computing}
	secured := poll.ServerTLS(socket, b.tls)
	b.computing.enter()
	err := secured.Handshake()
	b.computing.leave()
	socket.pass = nil
	if err != nil {
		return &handshakeError{err}
	}
	l.Conn = secured
	return nil
}

// firstPacket reads a packet without a type: its length, then its body.
func (l *line) firstPacket() ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(l.Conn, header[:]); err != nil {
		return nil, err
	}
	n, err := wire.StartupLength(header)
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(l.Conn, body)
	return body, err
}

// answer sends the one byte that answers an encryption request.
func (l *line) answer(b byte) error {
	_, err := l.Conn.Write([]byte{b})
	return err
}

// peek returns the next byte that conn would read, and leaves it there. It
// waits for one if told to, within conn's deadline.
func peek(conn *net.TCPConn, wait bool) (byte, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var first [1]byte
	var n int
	var failed error
	look := func(fd uintptr) (done bool) {
		for {
			n, _, failed = syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if failed != syscall.EINTR {
				return failed != syscall.EAGAIN
			}
		}
	}
	if wait {
		err = raw.Read(look)
	} else {
		err = raw.Control(func(fd uintptr) { look(fd) })
	}
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, failed
	case n == 0:
		return 0, io.EOF
	}
	return first[0], nil
}
