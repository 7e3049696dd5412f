package relay

import (
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// release gives s back to its pool if its client's transaction has ended and
// nothing of the client's is left in it or on its way to it. Otherwise the pair
// stays.
func (l *loop) release(s *server) {
	c := s.client
	if !c.between() || s.cancelling > 0 {
		return
	}
	switch {
	case c.leaving:
		l.end(c)
		return
	case l.draining:
		l.refuse(c, ShuttingDown)
		return
	case c.doomed:
		l.fatal(c, *c.why)
		return
	}
	if c.mode == Session {
		if len(c.touched) > 0 {
			l.audit(s)
		}
		return
	}
	p := s.pool
	if c.mode != Auto && c.suspicious() { // what it does next is not for s as it is
		c.fresh = true
	}
	switch {
	case c.mode == Statement && s.status != wire.Idle: // a way to begin that was not foreseen
		l.refuse(c, BlockRefused)
	case p.stale && !p.scanning:
		l.rescan(s)
	case len(s.old) >= l.cfg.MaxStatements:
		l.tidy(s)
	case c.crowds:
		l.fatal(c, l.explain(c, TooManyPinned, strings.Join(c.pins.names(), ", ")))
	case c.mode != Auto && c.suspicious():
		if len(c.touched) > 0 {
			l.audit(s)
			return
		}
		s.dirty = true
		l.part(s)
		l.again(&c.conn)
	case c.suspicious(), p.sequences && c.mode == Auto && c.pins == 0:
		if l.needed(p) || c.restarts() {
			l.audit(s)
		} else {
			l.lend(s)
		}
	case c.pins == 0:
		l.part(s)
		l.again(&c.conn)
	}
}

// parts reports whether c's transaction has ended and c can go on without its
// server: if that dies now, it is not c's concern.
func (c *client) parts() bool {
	return c.between() && c.server.cancelling == 0 && c.mode != Session && c.pins == 0 && !c.suspicious()
}

// bereave decides what becomes of s when its client ends: back to the pool if it
// is clean or can be cleaned, else closed, and what still runs there cancelled.
func (l *loop) bereave(s *server) {
	c := s.client
	if !s.due.none() {
		l.sendCancel(s, func(*loop) {})
	}
	if !c.between() || s.cancelling > 0 || s.broken || c.pins&pinTaints != 0 || c.suspect&wire.Taints != 0 || c.once {
		c.server = nil
		l.drop(s)
		return
	}
	s.dirty = s.dirty || c.mode == Session || c.pins != 0 || c.suspicious()
	l.part(s)
}

// part separates a pair at the end of a transaction. A server that is dying or too
// old, or whose pool has a newer way to open one, is not used again.
func (l *loop) part(s *server) {
	c, p := s.client, s.pool
	c.server, s.client = nil, nil
	l.unlend(s)
	s.spent = s.spent || c.suspect&wire.Taints != 0 || c.suspect&wire.Hides != 0 && s.super()
	c.suspect, c.touched, c.at = 0, nil, l.clock
	p.tenant.lastUsed.Store(l.clock.UnixNano())
	if s.dying || s.spent || !l.clock.Before(s.expires) || l.draining || p.servers > p.Target().PoolSize || p.tenant.leaving() || s.born.Before(p.tenant.renewed) {
		l.closeServer(s)
		return
	}
	if l.pressed.Load() {
		switch l.cfg.Limits.Yield(p, l.clock.Sub(s.born)) {
		case CloseServer:
			l.closeServer(s)
			return
		case CloseTenant:
			l.closeServer(s)
			l.leaveSoon(p.tenant)
			return
		}
	}
	switch {
	case s.dirty:
		l.wipe(s)
	case len(s.old) > 0:
		l.tidy(s)
	case p.stale && !p.scanning:
		l.rescan(s)
	default:
		l.offer(s)
	}
}

// drain lets running transactions finish and ends their clients then, tells
// those who wait for a server that there will be none, and leaves those who are
// idle to the last: until then one of them may still have a transaction, if there
// is a server for it. The loop stops when nobody is left.
func (l *loop) drain() {
	if l.draining {
		return
	}
	l.draining = true
	for _, c := range l.clientList() {
		if c.waiting {
			l.refuse(c, ShuttingDown)
		}
	}
	l.soon()
}

// endIdle ends those who are idle, once nobody else is left.
func (l *loop) endIdle() {
	all := l.clientList()
	for _, c := range all {
		if c.server != nil && !c.between() {
			return
		}
	}
	for _, c := range all {
		l.refuse(c, ShuttingDown)
	}
}

// quit ends everything at once.
func (l *loop) quit() {
	l.draining, l.stopped = true, true
	for _, c := range l.clientList() {
		l.refuse(c, ShuttingDown)
	}
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil && c.asServer != nil {
			l.closeServer(c.asServer)
		}
	}
	for _, f := range l.later {
		f(l)
	}
	l.later = nil
	for t := range l.gates {
		l.resume(t)
	}
	for t := range l.open {
		t.state = closed
		l.cfg.Limits.Give(t)
	}
	clear(l.open)
}

// clientList is all clients, as they are now.
func (l *loop) clientList() []*client {
	list := make([]*client, 0, l.clients)
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil && c.asClient != nil {
			list = append(list, c.asClient)
		}
	}
	return list
}
