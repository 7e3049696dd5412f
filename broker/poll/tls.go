package poll

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// TLS is a crypto/tls connection that begins on a blocking net.Conn (handshake,
// startup, password) and can then be moved onto a loop's descriptor without
// losing what it has read ahead or decrypted. Before Move it is an ordinary
// net.Conn; after it, it belongs to the loop.
type TLS struct {
	*tls.Conn
	socket *socket
}

// ServerTLS is the server's side over conn. cfg should have session tickets and
// dynamic record sizing off.
func ServerTLS(conn net.Conn, cfg *tls.Config) *TLS {
	s := &socket{Conn: conn, fd: -1}
	return &TLS{Conn: tls.Server(s, cfg), socket: s}
}

// ClientTLS is the client's side over conn.
func ClientTLS(conn net.Conn, cfg *tls.Config) *TLS {
	s := &socket{Conn: conn, fd: -1}
	return &TLS{Conn: tls.Client(s, cfg), socket: s}
}

// Name is the version and the cipher that were agreed on, for people.
func (t *TLS) Name() string {
	state := t.ConnectionState()
	return tls.VersionName(state.Version) + "/" + tls.CipherSuiteName(state.CipherSuite)
}

// Move takes the descriptor out of Go's poller and makes the connection
// non-blocking. The handshake must be complete.
func (t *TLS) Move() (fd int, err error) {
	fd, err = Detach(t.socket.Conn)
	if err != nil {
		return -1, err
	}
	t.socket.Conn, t.socket.fd = nil, fd
	return fd, nil
}

// Readable tells the connection that its socket may have bytes again; ended,
// that an end of file is behind them, so that a short read proves nothing.
func (t *TLS) Readable(ended bool) {
	t.socket.drained = false
	t.socket.ended = t.socket.ended || ended
}

// ReadMoved decrypts into b without blocking, up to len(b) bytes of one or more
// records. Call it until it returns ErrWouldBlock: no poller reports plaintext
// that is already decrypted.
func (t *TLS) ReadMoved(b []byte) (n int, err error) {
	for n < len(b) {
		var m int
		m, err = t.Conn.Read(b[n:])
		n += m
		if err != nil {
			break
		}
	}
	if n > 0 && blocked(err) {
		return n, nil
	}
	if blocked(err) {
		return 0, ErrWouldBlock
	}
	return n, err
}

// Seal encrypts b and appends the records to out, which it returns. It always
// accepts; the caller sends out and does not read while some is left.
func (t *TLS) Seal(out, b []byte) ([]byte, error) {
	t.socket.out = out
	_, err := t.Conn.Write(b)
	out, t.socket.out = t.socket.out, nil
	return out, err
}

// TakeOut returns what reading made the connection want to send (a key update's
// answer), or nil.
func (t *TLS) TakeOut() []byte {
	out := t.socket.out
	t.socket.out = nil
	return out
}

// socket is the net.Conn under crypto/tls: the ceremony's until Move, then a
// descriptor of the loop whose writes are only collected.
type socket struct {
	net.Conn
	fd      int
	drained bool // a short read has emptied the socket: the next read would block
	ended   bool
	out     []byte
}

func (s *socket) Read(b []byte) (int, error) {
	if s.Conn != nil {
		return s.Conn.Read(b)
	}
	if s.drained {
		return 0, ErrWouldBlock
	}
	n, err := Read(s.fd, b)
	if err != nil && !blocked(err) {
		return n, err
	}
	s.drained = n < len(b) && !s.ended
	return n, err
}

func (s *socket) Write(b []byte) (int, error) {
	if s.Conn != nil {
		return s.Conn.Write(b)
	}
	s.out = append(s.out, b...)
	return len(b), nil
}

func (s *socket) Close() error {
	if s.Conn != nil {
		return s.Conn.Close()
	}
	Close(s.fd)
	return nil
}

func (s *socket) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := s.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.New("the connection has moved to a loop")
}

func (s *socket) LocalAddr() net.Addr {
	if s.Conn != nil {
		return s.Conn.LocalAddr()
	}
	return nil
}

func (s *socket) RemoteAddr() net.Addr {
	if s.Conn != nil {
		return s.Conn.RemoteAddr()
	}
	return nil
}

// The ceremony's deadlines end with it: a loop has timers of its own.
func (s *socket) SetDeadline(t time.Time) error {
	return s.deadline(t, net.Conn.SetDeadline)
}

func (s *socket) SetReadDeadline(t time.Time) error {
	return s.deadline(t, net.Conn.SetReadDeadline)
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	return s.deadline(t, net.Conn.SetWriteDeadline)
}

func (s *socket) deadline(t time.Time, set func(net.Conn, time.Time) error) error {
	if s.Conn == nil {
		return nil
	}
	return set(s.Conn, t)
}
