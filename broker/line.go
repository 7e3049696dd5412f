package broker

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// A line is a connection during its ceremony, at either side. It reads exactly
// one message at a time and never a byte beyond it: what the peer has sent
// already is for whoever gets the connection next. (pgproto3's Backend and
// Frontend read ahead and cannot give the rest back, so only its messages are
// used here.) What is said is sent by flush. Used by one goroutine.
type line struct {
	net.Conn              // the socket, or TLS over it
	socket   *net.TCPConn // of a client
	number   uint64       // of a client's connection
	id       string       // … with the process's prefix, for logs and for who reads them
	began    time.Time
	crowded  bool   // it is one more than max_client_conn
	ended    func() // uncounts it; safe to call more than once
	out      []byte
	err      error // of the first message that could not be encoded

	// uninterrupted ends the watch over the ceremony's context. It is false when
	// the watch has put a deadline into the past, or is about to.
	uninterrupted func() bool
}

func (l *line) remote() string { return l.socket.RemoteAddr().String() }

// say queues a message.
func (l *line) say(m interface {
	Encode(dst []byte) ([]byte, error)
},
) {
	if l.err == nil {
		l.out, l.err = m.Encode(l.out)
	}
}

// flush sends what was said in one write.
func (l *line) flush() error {
	if l.err != nil {
		return fmt.Errorf("encode: %w", l.err)
	}
	out := l.out
	l.out = l.out[:0]
	if len(out) == 0 {
		return nil
	}
	_, err := l.Conn.Write(out)
	return err
}

// A lengthError is a message whose length field is impossible, or above what
// the reader takes at this place.
type lengthError struct {
	kind   byte
	length uint32
}

func (e *lengthError) Error() string {
	return fmt.Sprintf("message type %d with a length of %d bytes", e.kind, e.length)
}

// hear reads one message with a body of at most limit bytes. Nothing is
// allocated for a length that was only announced and is too much.
func (l *line) hear(limit int) (kind byte, body []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(l.Conn, header[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length < 4 || length-4 > uint32(limit) {
		return 0, nil, &lengthError{header[0], length}
	}
	body = make([]byte, length-4)
	if _, err := io.ReadFull(l.Conn, body); err != nil {
		return 0, nil, err
	}
	return header[0], body, nil
}

// A gate lets a bounded number of handshakes compute at once, so that a burst
// of them leaves the loops their processors. It is held while computing only,
// never while waiting for a peer.
type gate chan struct{}

func newGate(size int) gate { return make(gate, size) }

func (g gate) enter() { g <- struct{}{} }
func (g gate) leave() { <-g }

// gated is a TCP connection under a TLS handshake that holds the gate: it lets
// go of it while it waits for the peer. Afterwards, pass is nil.
type gated struct {
	*net.TCPConn
	pass gate
}

func (c *gated) Read(b []byte) (int, error) {
	if c.pass == nil {
		return c.TCPConn.Read(b)
	}
	c.pass.leave()
	defer c.pass.enter()
	return c.TCPConn.Read(b)
}
