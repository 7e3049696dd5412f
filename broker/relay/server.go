package relay

import (
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

// server is a connection to PostgreSQL that has logged in. Owned by its loop.
type server struct {
	conn
	pool   *Pool
	target *Target // that it was opened for
	client *client // paired with it; nil: idle
	key    BackendKey
	id     uint64

	status   byte // of its last ReadyForQuery
	due      dues
	copyIn   bool // takes copy data, so Sync means nothing to it
	ignores  bool // a Sync came before the end of the copy data
	maybe    bool // … and may be answered all the same
	dropping bool // the message that streams is one that nobody sees

	reported   *params               // what it says of itself
	base       *params               // … after DISCARD ALL
	extra      *params               // settings replayed on it that it does not report
	dirty      bool                  // is to be wiped before another client has it
	spent      bool                  // may have state that nothing takes back: not for another client
	murky      bool                  // may have custom settings of its last client that nobody can ask for
	lent       bool                  // in pool.lent
	auditing   bool                  // counted in pool.auditing
	scanning   bool                  // pool.scanning is about it
	last       uint64                // serial of the client that used it last
	foreign    bool                  // its sequences' values may be another client's
	refused    *wire.Fields          // what it said to our prelude
	instead    []byte                // what its client gets in the place of its last error
	shaping    owed                  // the Describe that a description of columns answers next
	behind     []byte                // … behind its last ReadyForQuery
	dying      bool                  // its last error was its last word
	skipping   bool                  // an error came, and the Sync that ends its batch has not been sent
	has        map[*statement]uint64 // prepared statements, and when each was used last
	uses       uint64                // counts those uses
	old        []string              // names of statements that are to be closed
	epoch      uint64                // of the names in has
	unsure     bool                  // what its client does may have freed statements of others
	question   question              // of the audit under way
	asked      time.Time             // … and when
	rows       [][]*string           // that answer a question of ours
	commands   bool                  // one that counts for all of the session is on its way
	scanOf     uint64                // state of the definitions that the scan sees at least
	choreBy    time.Time             // … its last chore is done, or it is dropped
	over       bool                  // PostgreSQL has closed it
	cancelNext []func()              // cancel requests for what comes behind our own message
	answered   uint64                // counts its ReadyForQuery
	cancelling int                   // cancel requests on their way: not to be released before

	born      time.Time
	expires   time.Time
	idleSince time.Time
}

// welcome takes a new server into p.
func (l *loop) welcome(p *Pool, t *Target, in *Server, sock socket) (*server, error) {
	s := &server{pool: p, target: t, key: in.Key, id: l.relay.servers.Add(1), status: wire.Idle}
	s.asServer = s
	s.reported = l.sets.of(in.Params)
	s.base, s.extra = s.reported, l.sets.none
	s.born = l.clock
	s.expires = l.clock.Add(l.lifetime())
	if err := l.join(&s.conn, sock); err != nil {
		return nil, err
	}
	p.servers++
	p.count.opened++
	return s, nil
}

// serveServer reads from s once, unless its client has not yet taken what was
// sent before: that is the back-pressure.
func (l *loop) serveServer(s *server) {
	switch {
	case s.broken:
		l.lost(s)
		return
	case !s.readable, s.client != nil && len(s.client.out) > 0:
		return
	}
	b, err := l.fill(&s.conn)
	s.pool.count.bytesOut += uint64(len(b))
	l.answer(s, b)
	switch {
	case s.gone:
	case over(err):
		l.lost(s)
	case s.readable:
		l.again(&s.conn)
	}
}

// lost is a server that has ended or that makes no sense. Its client is told,
// unless the server's own last word has done so; nothing is tried again.
func (l *loop) lost(s *server) {
	c := s.client
	s.over = s.ended
	l.drop(s)
	if c == nil {
		return
	}
	c.server = nil
	switch {
	case s.dying && s.refused != nil && !c.leaving: // its last word answered a message of our own
		l.fatal(c, *s.refused)
	case c.leaving, s.dying:
		l.end(c)
	default:
		l.refuse(c, ServerLost)
	}
}

// closeServer says goodbye to a server that nobody uses.
func (l *loop) closeServer(s *server) {
	if !s.broken && len(s.out) == 0 {
		l.write(&s.conn, []byte{wire.Terminate, 0, 0, 0, 4})
	}
	l.drop(s)
}

// drop closes s's connection, whatever it is doing.
func (l *loop) drop(s *server) {
	if s.gone {
		return
	}
	p := s.pool
	for i, x := range p.idle {
		if x == s {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	s.client = nil
	for _, taken := range s.cancelNext {
		taken()
	}
	s.cancelNext = nil
	l.unlend(s)
	for i := range s.due.list {
		l.abandon(&s.due.list[i].command)
	}
	if s.auditing {
		p.auditing--
	}
	if s.scanning {
		p.scanning = false
	}
	l.forgetAll(s)
	p.servers--
	p.count.closed++
	l.bury(s)
	if p.tenant.leaving() {
		l.leftYet(p.tenant)
		return
	}
	l.grow(p)
}
