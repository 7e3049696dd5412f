package fakepg

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// patience bounds each read of a client: far longer than anything takes. A
// server's script may wait for ever, since the test's end closes its connection.
const patience = 20 * time.Second

// A Conn is one end of a connection under a script. Used by one goroutine.
type Conn struct {
	net.Conn
	T testing.TB

	server bool
}

// patient bounds what is read next.
func (c *Conn) patient() {
	if !c.server {
		_ = c.SetReadDeadline(time.Now().Add(patience))
	}
}

// A message is what pgproto3's messages have in common.
type message interface {
	Encode(dst []byte) ([]byte, error)
}

// Send sends messages in one write.
func (c *Conn) Send(messages ...message) {
	c.T.Helper()
	var out []byte
	for _, m := range messages {
		var err error
		if out, err = m.Encode(out); err != nil {
			c.T.Errorf("encode: %v", err)
		}
	}
	c.SendBytes(out)
}

// SendBytes sends b as it is. That the other side has gone is no error: it may
// have seen through the script.
func (c *Conn) SendBytes(b []byte) { _, _ = c.Write(b) }

// Next reads one message. At the end of the connection, in whatever way it came,
// kind is 0.
func (c *Conn) Next() (kind byte, body []byte) {
	c.patient()
	var header [5]byte
	if _, err := io.ReadFull(c.Conn, header[:]); err != nil {
		c.complainIfLate(err)
		return 0, nil
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n < 4 || n > 1<<24 {
		c.T.Errorf("message type %q of %d bytes", header[0], n)
		return 0, nil
	}
	body = make([]byte, n-4)
	if _, err := io.ReadFull(c.Conn, body); err != nil {
		c.complainIfLate(err)
		return 0, nil
	}
	return header[0], body
}

// Packet reads a first packet, which has no type; nil at the end.
func (c *Conn) Packet() []byte {
	c.patient()
	var header [4]byte
	if _, err := io.ReadFull(c.Conn, header[:]); err != nil {
		c.complainIfLate(err)
		return nil
	}
	body := make([]byte, binary.BigEndian.Uint32(header[:])-4)
	if _, err := io.ReadFull(c.Conn, body); err != nil {
		return nil
	}
	return body
}

// Ended reads what is left and returns true when the other side has closed.
func (c *Conn) Ended() bool {
	c.patient()
	_, err := io.Copy(io.Discard, c.Conn)
	return !late(err)
}

func (c *Conn) complainIfLate(err error) {
	if late(err) {
		c.T.Errorf("nothing was heard for %s", patience)
	}
}

func late(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}
