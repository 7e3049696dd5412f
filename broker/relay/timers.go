package relay

import (
	"math/rand/v2"
	"strings"
	"time"
)

// How often time-outs are looked at: waits for a server are kept to a twentieth
// of a second, what clients do to a quarter, the rest to a second. A loop without
// open tenants, and whose clients may be idle for ever, sleeps for ever.
const (
	sweepWaiting = 50 * time.Millisecond
	sweepTimes   = 250 * time.Millisecond
	sweepOpen    = time.Second
)

// lentFor is how long a server stays with a quiet client for what may be left in
// it, while nobody else needs it.
const lentFor = time.Second

// timeout is how long the poller may wait, in milliseconds; -1 is for ever.
func (l *loop) timeout() int {
	if len(l.ready) > 0 {
		return 0
	}
	if l.sweepAt.Equal(never) {
		return -1
	}
	return int(max(0, l.sweepAt.Sub(l.clock))/time.Millisecond) + 1
}

// never is a time that does not come.
var never = time.Unix(1<<40, 0)

// soon makes the next sweep come when somebody has begun to wait.
func (l *loop) soon() {
	if at := l.clock.Add(sweepWaiting); at.Before(l.sweepAt) {
		l.sweepAt = at
	}
}

// sweep is every time-out of the loop: waiting too long, servers idle too long or
// too old, tenants unused too long, and what Times bounds.
func (l *loop) sweep() {
	later := l.later
	l.later = nil
	for _, f := range later {
		f(l)
	}
	l.watchGates()
	if l.draining {
		l.endIdle()
	}
	wanted := l.waiters > 0 || l.gateMoves() || len(l.later) > 0 || l.draining
	for t := range l.gates { // late holds also where no server was ever open
		if _, open := l.open[t]; !open {
			t.each(l.late)
		}
	}
	for t := range l.open {
		wanted = wanted || t.state == asking
		t.each(func(p *Pool) {
			l.late(p)
			l.reclaim(p, l.clock.Add(-lentFor))
			l.seek(p)
			l.retire(p)
			l.check(p)
			wanted = wanted || len(p.greet) > 0
		})
		if t.leaving() && !l.clock.Before(t.leaveBy) {
			l.stay(t)
		}
		if t.state == opened && !t.busy() && l.clock.Sub(t.LastUsed()) >= l.cfg.TTL {
			t.each(func(p *Pool) { p.count.evictedTTL++ })
			l.close(t)
		}
	}
	if !l.clock.Before(l.timesAt) {
		l.timed = l.watchTimes()
		l.timesAt = l.clock.Add(sweepTimes)
	}
	switch {
	case wanted:
		l.cfg.Limits.Retry()
		l.sweepAt = l.clock.Add(sweepWaiting)
	case l.timed:
		l.sweepAt = l.clock.Add(sweepTimes)
	case len(l.open) > 0:
		l.sweepAt = l.clock.Add(sweepOpen)
	default:
		l.sweepAt = never
	}
	if l.draining && l.clients == 0 {
		l.quit()
	}
}

// watchTimes ends what takes longer than Times allows, and chores that are not
// answered. It reports whether there is anything that could.
func (l *loop) watchTimes() (any bool) {
	for i := range l.slots {
		switch x := l.slots[i].conn; {
		case x == nil:
		case x.asClient != nil:
			any = l.watchClient(x.asClient) || any
		case x.asServer.client == nil && !x.asServer.due.none():
			any = true
			if !l.clock.Before(x.asServer.choreBy) {
				l.drop(x.asServer)
			}
		}
	}
	return any
}

// watchClient ends c, or its query, if it takes too long. It reports whether that
// may come.
func (l *loop) watchClient(c *client) bool {
	t, s := c.pool.Target().Times, c.server
	if t.Query+t.IdleTransaction+t.Transaction+t.ClientIdle == 0 && (c.pins == 0 || t.PinIdle == 0) || c.once || c.waiting {
		return false
	}
	over := func(limit time.Duration, since time.Time) bool { return limit > 0 && l.clock.Sub(since) >= limit }
	switch {
	case s == nil || c.between():
		switch {
		case over(t.ClientIdle, c.at):
			l.refuse(c, ClientIdle)
		case c.pins != 0 && c.mode == Auto && c.pool.waiting.n > 0 && over(t.PinIdle, c.at):
			l.fatal(c, l.explain(c, PinIdle, strings.Join(c.pins.names(), ", ")))
		}
	case over(t.Transaction, c.began):
		l.refuse(c, TransactionTimeout)
	case s.due.none():
		if over(t.IdleTransaction, c.at) {
			l.refuse(c, IdleTransaction)
		}
	case over(t.Query, c.at) && !c.overdue:
		c.overdue = true
		l.cancel(c, func() {})
	case c.overdue && over(t.Query+l.cfg.CancelWait, c.at): // the server does not react
		l.refuse(c, QueryTimeout)
	}
	return true
}

// gateMoves reports whether a gate waits for something.
func (l *loop) gateMoves() bool {
	for t := range l.gates {
		if t.gate.waits() || t.gate.ending != nil && len(t.gate.ending.gone) > 0 {
			return true
		}
	}
	return false
}

// retire closes p's servers that have been idle for too long or are too old.
// Those at the front have been idle the longest.
func (l *loop) retire(p *Pool) {
	for i := 0; i < len(p.idle); {
		s := p.idle[i]
		idle := l.clock.Sub(s.idleSince) >= l.cfg.ServerIdle && p.servers > p.Target().MinPoolSize
		if !idle && l.clock.Before(s.expires) {
			i++
			continue
		}
		l.closeServer(s)
	}
}

// lifetime is that of one server: up to a tenth less than configured, so that
// servers opened together do not end together.
func (l *loop) lifetime() time.Duration {
	d := l.cfg.ServerLifetime
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}
