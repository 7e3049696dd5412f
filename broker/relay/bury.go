package relay

import (
	"context"
	"io"
	"time"

	"github.com/nusajournal/dermaga/broker/poll"
)

// buryWithin bounds the wait for PostgreSQL to close a connection that we have
// closed: a backend that ends takes a millisecond, one whose query was cancelled a
// few.
const buryWithin = 5 * time.Second

// bury closes s's connection, and gives its place back to the limits when
// PostgreSQL has closed it too. Until then it is a session there, and the one that
// takes its place would be one too many.
func (l *loop) bury(s *server) {
	limits, p := l.cfg.Limits, s.pool
	if s.broken || s.over || l.stopped {
		l.leave(&s.conn)
		limits.Close(p)
		return
	}
	last, err := poll.HalfClose(s.fd)
	l.leave(&s.conn)
	if err != nil {
		limits.Close(p)
		return
	}
	closed := limits.Closing(p)
	r := l.relay
	r.burials.Go(func() {
		defer closed()
		defer last.Close()
		defer context.AfterFunc(r.ctx, func() { _ = last.SetReadDeadline(time.Unix(1, 0)) })()
		if err := last.SetReadDeadline(time.Now().Add(buryWithin)); err == nil {
			_, _ = io.Copy(io.Discard, last) // whatever ends it, it has ended
		}
	})
}
