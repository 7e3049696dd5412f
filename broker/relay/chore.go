package relay

import (
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

// choreTime bounds what a server is asked between two clients.
const choreTime = 5 * time.Second

// chore has s do something of the broker's own while no client has it. It is
// offered when it has answered.
func (l *loop) chore(s *server, what due, msg []byte) {
	s.choreBy = l.clock.Add(choreTime)
	s.rows = s.rows[:0]
	s.due.push(owed{due: what})
	l.write(&s.conn, msg)
}

// wipe takes away what a client has left in s. At once, since locks, temporary
// tables and notifications would go on living in a server that is idle.
func (l *loop) wipe(s *server) {
	l.forgetAll(s)
	s.old = nil // they go with the rest
	s.due.push(owed{due: forPrelude})
	l.chore(s, forWipe, appendReseed(wire.AppendQuery(nil, "DISCARD ALL")))
}

// choreDone is the end of a chore's answer.
func (l *loop) choreDone(s *server, what due) {
	if s.refused != nil {
		l.closeServer(s)
		return
	}
	switch what {
	case forWipe:
		s.dirty, s.murky, s.extra = false, false, l.sets.none
	case forScan:
		l.scanned(s)
	case forCheck:
		if s.pool.waiting.n == 0 { // it has not been used
			s.pool.idle = append([]*server{s}, s.pool.idle...)
			return
		}
	}
	l.offer(s)
}

// check asks the servers of p that have been idle for long whether they live: one
// whose host has gone says nothing, and the next client would wait for it.
func (l *loop) check(p *Pool) {
	if l.cfg.ServerCheck == 0 {
		return
	}
	for i := 0; i < len(p.idle); {
		s := p.idle[i]
		if l.clock.Sub(s.idleSince) < l.cfg.ServerCheck || l.clock.Sub(s.choreBy) < l.cfg.ServerCheck {
			i++
			continue
		}
		p.idle = append(p.idle[:i], p.idle[i+1:]...)
		l.chore(s, forCheck, wire.AppendSync(nil))
	}
}

// defined is a change of t's objects that has committed: plans made before it and
// what is known of routines are out of date. Until they have been looked at again,
// any text may do what made says.
func (l *loop) defined(t *Tenant, made effect) {
	t.edition++
	t.defined++
	t.made = t.made.and(made)
	t.each(func(p *Pool) {
		p.stale = p.routines != nil
		if n := len(p.idle); p.stale && n > 0 && !p.scanning {
			s := p.idle[n-1]
			p.idle = p.idle[:n-1]
			l.rescan(s)
		}
	})
}

// rescan asks s, whose client runs no transaction, for the routines of its database.
func (l *loop) rescan(s *server) {
	if s.client != nil {
		s.client.unnamed = false // a simple Query destroys the unnamed statement
	}
	s.pool.scanning, s.scanning = true, true
	s.scanOf = s.pool.tenant.defined
	l.chore(s, forScan, wire.AppendQuery(nil, routinesSQL))
}

// scanned takes the answer, for all pools of the database.
func (l *loop) scanned(s *server) {
	t, rs := s.pool.tenant, judge(routinesOf(s.rows))
	s.pool.scanning, s.scanning = false, false
	if s.refused != nil { // the next release tries again
		s.refused = nil
		return
	}
	if s.scanOf == t.defined {
		t.made = effect{}
	}
	t.each(func(p *Pool) {
		if p.Target().Database == s.target.Database && p.Target().Server == s.target.Server {
			p.routines, p.stale = rs, p.stale && s.scanOf != t.defined
		}
	})
}
