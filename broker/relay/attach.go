package relay

import (
	"cmp"
	"errors"
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

// attach pairs c with an idle server, or queues it until one is released. It
// reports whether c is paired now. Where no server can be had, c is ended.
func (l *loop) attach(c *client) bool {
	p := c.pool
	if !p.tenant.gate.closed() && !p.tenant.leaving() {
		if s := p.pick(c); s != nil {
			l.pair(c, s)
			return true
		}
	}
	if p.servers == 0 && p.failed != nil && !p.passes && l.clock.Before(p.retryAt) {
		l.fatal(c, l.why(p))
		return false
	}
	if l.draining { // nobody opens a server any more
		l.refuse(c, ShuttingDown)
		return false
	}
	if limit := p.Target().QueueLength; limit > 0 && p.waiting.n >= limit {
		l.refuse(c, QueueFull)
		return false
	}
	c.waiting, c.notified, c.since = true, false, l.clock
	p.waiting.push(c)
	l.waiters++
	l.soon()
	return false
}

// seek finds a server for those who wait: one that is lent to a client, or a new
// one.
func (l *loop) seek(p *Pool) {
	if p.tenant.gate.closed() {
		return
	}
	for l.needed(p) && l.reclaim(p, l.clock) {
	}
	l.grow(p)
}

// pick takes the idle server that needs the least telling before c can use it:
// one whose settings are c's, among those last used.
func (p *Pool) pick(c *client) *server {
	const look = 8
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	best := last
	for i := last; i >= max(0, last-look+1); i-- {
		if s := p.idle[i]; s.reported == c.told && s.extra == c.extra {
			best = i
			break
		}
	}
	s := p.idle[best]
	p.idle = append(p.idle[:best], p.idle[best+1:]...)
	return s
}

// pair gives s to c.
func (l *loop) pair(c *client, s *server) {
	c.server, s.client, s.foreign = s, c, false
	c.fresh, c.unnamed, c.wantClean = true, false, false
	c.pool.tenant.lastUsed.Store(l.clock.UnixNano())
}

// unqueue takes c out of its pool's queue.
func (l *loop) unqueue(c *client) {
	c.waiting = false
	c.pool.waiting.remove(c)
	l.waiters--
}

// cancelled is PostgreSQL's answer to a query that was cancelled.
var cancelled = wire.Fields{Severity: "ERROR", Code: "57014", Message: "canceling statement due to user request"}

// cancelWaiting takes c out of the queue: its query is answered as if PostgreSQL
// had begun it and was told to stop.
func (l *loop) cancelWaiting(c *client) {
	l.unqueue(c)
	b := c.pending
	c.pending = nil
	l.write(&c.conn, wire.AppendError(nil, cancelled))
	if kind, total, _ := wire.Next(b); kind == wire.Query || kind == wire.FunctionCall {
		c.dropped = total
		l.write(&c.conn, wire.AppendReady(nil, wire.Idle))
	} else {
		c.skips = true
	}
	l.take(c, b)
	l.again(&c.conn)
}

// offer gives a server that is free to the client that has waited longest, or
// keeps it.
func (l *loop) offer(s *server) {
	p := s.pool
	c := p.waiting.first
	if c == nil || p.tenant.gate.closed() {
		s.idleSince = l.clock
		p.idle = append(p.idle, s)
		return
	}
	l.unqueue(c)
	p.count.wait.add(l.clock.Sub(c.since))
	l.pair(c, s)
	l.begin(c)
	l.again(&c.conn) // what it sent meanwhile
}

// begin does what c asked for before it had a server. Whoever has released that is
// not concerned if it goes wrong.
func (l *loop) begin(c *client) {
	defer l.survive(&c.conn)
	b := c.pending
	c.pending = nil
	l.forward(c, b)
}

// why is what a client is told when p could not open a server.
func (l *loop) why(p *Pool) wire.Fields {
	var told interface{ Fields() wire.Fields }
	if errors.As(p.failed, &told) {
		return told.Fields()
	}
	return l.cfg.Explain(DialFailed, p.Target(), "")
}

// late ends the clients of p that have waited too long, and tells those who have
// waited for some time.
func (l *loop) late(p *Pool) {
	t := p.Target()
	limit, why, about := cmp.Or(t.Times.QueryWait, l.cfg.QueryWait), QueryWait, ""
	switch {
	case p.tenant.gate.paused.on:
		return
	case p.tenant.gate.held.on:
		limit, why = l.cfg.HoldWait, HeldTooLong
	case p.tenant.state == asking:
		why = NoPlace
	case p.pinned > 0:
		about = l.pinnedBy(p)
	}
	for c := p.waiting.first; c != nil && l.clock.Sub(c.since) >= limit; c = p.waiting.first {
		p.count.wait.add(l.clock.Sub(c.since))
		if p.passes && why == QueryWait {
			l.fatal(c, l.why(p))
			continue
		}
		l.fatal(c, l.explain(c, why, about))
	}
	if t.Times.WaitNotify == 0 || why != QueryWait {
		return
	}
	for c := p.waiting.first; c != nil && l.clock.Sub(c.since) >= t.Times.WaitNotify; c = c.next {
		if !c.notified {
			c.notified = true
			f := l.explain(c, Waiting, about)
			f.Severity = "NOTICE"
			l.write(&c.conn, wire.AppendNotice(nil, f))
		}
	}
}

// waitedLongest is for how long the oldest waiter has waited.
func (l *loop) waitedLongest(p *Pool) time.Duration {
	if p.waiting.first == nil {
		return 0
	}
	return l.clock.Sub(p.waiting.first.since)
}
