package relay

import (
	"context"
	"time"
)

// cancel passes a cancel request on, if the server is working for c now. Until
// the server has taken it, s stays with c and gets nothing new, so that it hits
// nobody else's query, nor c's next one; then taken is called.
func (l *loop) cancel(c *client, taken func()) {
	s := c.server
	switch {
	case c.waiting:
		l.cancelWaiting(c)
		taken()
		return
	case s == nil || s.due.none():
		taken()
		return
	case s.due.ours(): // what is to be cancelled stands behind a message of our own
		s.cancelNext = append(s.cancelNext, taken)
		return
	}
	l.cancelUntil(c, s, l.clock.Add(l.cfg.CancelWait), taken)
}

// cancelNow does what waited for an answer to a message of the broker's own.
func (l *loop) cancelNow(c *client, s *server) {
	waiting := s.cancelNext
	s.cancelNext = nil
	for _, taken := range waiting {
		l.cancel(c, taken)
	}
}

// cancelUntil sends a cancel request, and again as long as the same query runs:
// PostgreSQL drops one that comes before it has begun to read the query.
func (l *loop) cancelUntil(c *client, s *server, until time.Time, taken func()) {
	s.cancelling++
	answered := s.answered
	l.sendCancel(s, func(l *loop) {
		taken()
		s.cancelling--
		if s.gone || s.client != c {
			return
		}
		l.again(&c.conn)
		if s.due.none() {
			l.release(s)
			return
		}
		l.later = append(l.later, func(l *loop) {
			if !s.gone && s.client == c && s.answered == answered && s.cancelling == 0 && l.clock.Before(until) {
				l.cancelUntil(c, s, until, func() {})
			}
		})
		l.soon()
	})
}

// sendCancel asks PostgreSQL to cancel what s runs, and posts then.
func (l *loop) sendCancel(s *server, then func(*loop)) {
	key, t := s.key, s.target
	go func() {
		ctx, stop := context.WithTimeout(l.relay.ctx, l.cfg.CancelWait)
		defer stop()
		if err := t.Cancel(ctx, key); err != nil {
			l.log.Warn("cancel", "tenant", t.Slug, "err", err)
		}
		l.box.post(then)
	}()
}
