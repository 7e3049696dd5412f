package relay

import (
	"errors"
	"fmt"
	"net"

	"github.com/nusajournal/dermaga/broker/poll"
)

// conn is a socket's state, of a client or of a server (one of the two is set).
// Owned by its loop. An idle one holds no buffer.
type conn struct {
	socket
	slot     uint32
	readable bool // a read may give something
	writable bool // a write may take something
	ended    bool // the peer will send no more, so a short read is not the last
	broken   bool // writing failed: the owner ends it at its next turn
	listed   bool // in loop.ready
	gone     bool
	out      []byte  // what the socket did not take yet
	partial  []byte  // the beginning of a message that must be seen whole
	remain   int     // bytes of a message begun that stream through
	asClient *client // whose socket it is: one of the two is set
	asServer *server
}

// socket is a descriptor and, where there is TLS, what is over it.
type socket struct {
	fd  int
	tls *poll.TLS
}

// adopt takes nc's descriptor out of Go's poller.
func adopt(nc net.Conn) (socket, error) {
	if t, ok := nc.(*poll.TLS); ok {
		fd, err := t.Move()
		if err != nil {
			return socket{}, errors.Join(err, nc.Close())
		}
		return socket{fd: fd, tls: t}, nil
	}
	fd, err := poll.Detach(nc)
	return socket{fd: fd}, err
}

// shut closes a socket that no loop has taken.
func (s socket) shut() { poll.Close(s.fd) }

// read reads once into b. At the end it returns an error other than
// poll.ErrWouldBlock, perhaps with bytes before it.
func (l *loop) read(c *conn, b []byte) (n int, err error) {
	if c.tls != nil {
		n, err = c.tls.ReadMoved(b)
		if answer := c.tls.TakeOut(); answer != nil {
			l.send(c, answer)
		}
		c.readable = n == len(b) && err == nil
		return n, err
	}
	n, err = poll.Read(c.fd, b)
	// A short read has emptied the socket; what comes later is a new edge.
	c.readable = err == nil && (n == len(b) || c.ended)
	return n, err
}

// write sends b, or as much as the socket takes now; the rest is copied to out
// and goes with a later event. After a failure nothing more is sent.
func (l *loop) write(c *conn, b []byte) {
	if c.tls == nil {
		l.send(c, b)
		return
	}
	if len(b) == 0 || c.broken {
		return
	}
	sealed, err := c.tls.Seal(l.sealed[:0], b)
	if err != nil {
		l.fail(c)
		return
	}
	l.sealed = sealed
	l.send(c, sealed)
}

// send is write for bytes as they go over the wire.
func (l *loop) send(c *conn, b []byte) {
	if c.broken {
		return
	}
	if len(c.out) == 0 {
		n, err := poll.Write(c.fd, b)
		if err != nil && !errors.Is(err, poll.ErrWouldBlock) {
			l.fail(c)
			return
		}
		b = b[n:]
	}
	if len(b) > 0 {
		c.writable = false
		c.out = append(c.out, b...)
	}
}

// flush sends what waits in out. When all is gone, the other side of the pair may
// be read again.
func (l *loop) flush(c *conn) {
	n, err := poll.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, poll.ErrWouldBlock) {
		l.fail(c)
		return
	}
	if n < len(c.out) {
		c.writable = false
		c.out = c.out[:copy(c.out, c.out[n:])]
		return
	}
	c.out = nil
	l.again(c)
	switch {
	case c.asClient != nil && c.asClient.server != nil:
		l.again(&c.asClient.server.conn)
	case c.asServer != nil && c.asServer.client != nil:
		l.again(&c.asServer.client.conn)
	}
}

// fail marks c as broken; its owner ends it at its next turn, so that nobody's
// state changes under a function that is in the middle of writing.
func (l *loop) fail(c *conn) {
	c.broken = true
	c.out = nil
	l.again(c)
}

// keep copies a tail that must be seen together with what follows it.
func (c *conn) keep(tail []byte) {
	if len(tail) > 0 {
		c.partial = append([]byte(nil), tail...)
	}
}

// fill reads behind what was kept and returns both.
func (l *loop) fill(c *conn) (b []byte, err error) {
	kept := copy(l.buf, c.partial)
	c.partial = nil
	n, err := l.read(c, l.buf[kept:kept+readSize])
	if n == 0 && kept > 0 {
		c.keep(l.buf[:kept])
		return nil, err
	}
	return l.buf[:kept+n], err
}

// over reports whether a read's error means that no byte will follow.
func over(err error) bool { return err != nil && !errors.Is(err, poll.ErrWouldBlock) }

// join registers a socket with the loop as c.
func (l *loop) join(c *conn, s socket) error {
	c.socket = s
	if err := l.enter(c); err != nil {
		s.shut()
		return fmt.Errorf("register: %w", err)
	}
	c.readable, c.writable = true, true
	if c.tls != nil {
		c.tls.Readable(false)
	}
	return nil
}
