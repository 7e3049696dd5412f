package relay

import (
	"strings"
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

// answer forwards b to s's client, but for what answers messages of our own.
func (l *loop) answer(s *server, b []byte) {
	i := min(s.remain, len(b))
	s.remain -= i
	from := 0 // where what is to be forwarded begins
	if s.dropping {
		from = i
	}
	for i < len(b) {
		kind, total, ok := wire.Next(b[i:])
		if !ok {
			break
		}
		if total == 0 {
			l.lost(s)
			return
		}
		have := min(total, len(b)-i)
		drop := s.due.ours()
		watched := s.client != nil && (s.commands || s.client.discards)
		if have < total && total <= maxLook && (drop || looked(kind) || kind == wire.CommandComplete && watched || s.shaping.due == forShape) {
			break
		}
		if kind == wire.DataRow && drop && s.due.asked() {
			if row, ok := columns(b[i+wire.HeaderLen : i+have]); ok {
				s.rows = append(s.rows, row)
			}
		}
		if (kind == wire.ParseComplete || kind == wire.CloseComplete) && !drop {
			if x, ok := s.due.complete(); ok {
				drop = x.due == forOurs
				switch {
				case s.client == nil:
				case x.settles:
					s.client.batch.silent = false
					l.unstall(s.client)
				case x.due == forParse && x.unnamed:
					s.client.parsing = false
				}
				if x.due == forParsed {
					b[i] = wire.ParseComplete
				}
			}
		}
		switch kind {
		case wire.ParameterDescription:
			s.shaping, _ = s.due.describe()
			drop = drop || s.shaping.ours
		case wire.RowDescription, wire.NoData:
			if s.shaping.due == forShape {
				drop = drop || s.shaping.ours
				l.shaped(s, kind, b[i+wire.HeaderLen:i+have])
			}
		}
		if kind == wire.CommandComplete && watched && !drop && have == total {
			l.completed(s.client, s, b[i+wire.HeaderLen:i+have])
		}
		if looked(kind) {
			if !l.heed(s, kind, b[i+wire.HeaderLen:i+have], drop) {
				return
			}
			if s.instead != nil { // another error than the server's
				from = l.skip(s, b, from, i, have)
				l.write(&s.client.conn, s.instead)
				s.instead = nil
			}
			if s.behind != nil { // in the same place, between two messages
				l.write(&s.client.conn, b[from:i+have])
				from = i + have
				l.write(&s.client.conn, s.behind)
				s.behind = nil
			}
			drop = drop || s.dying && s.client != nil && s.client.parts()
		}
		if drop {
			from = l.skip(s, b, from, i, have)
		}
		s.remain, s.dropping = total-have, drop && have < total
		i += have
	}
	s.keep(b[i:])
	if s.client != nil && from < i {
		l.write(&s.client.conn, b[from:i])
	}
	if s.client != nil && s.due.none() {
		if s.client.fresh {
			l.again(&s.client.conn)
		}
		l.release(s)
	}
	if s.dying && !s.gone { // whoever got it now would not hear why it ends
		l.lost(s)
	}
}

// skip forwards what came before the message at, and returns where the next run
// begins, behind that message.
func (l *loop) skip(s *server, b []byte, from, at, have int) int {
	if s.client != nil && from < at {
		l.write(&s.client.conn, b[from:at])
	}
	return max(from, at+have)
}

// looked reports whether a message of the server's is looked at, and not only
// forwarded.
func looked(kind byte) bool {
	switch kind {
	case wire.ReadyForQuery, wire.ParameterStatus, wire.Error, wire.CopyIn, wire.CopyBoth:
		return true
	}
	return false
}

// heed takes a message of the server's into account; ours says that it answers a
// message of our own. It reports false when s is gone.
func (l *loop) heed(s *server, kind byte, body []byte, ours bool) bool {
	switch kind {
	case wire.ParameterStatus:
		l.report(s, body, !ours)
	case wire.CopyIn, wire.CopyBoth:
		more, goesOn, does := s.due.copyIn()
		s.copyIn = more
		if goesOn && s.client != nil {
			s.client.batch, s.ignores = batch{open: true, command: does}, true
		}
		if more && s.client != nil && s.client.leaving { // nobody sends the data
			l.end(s.client)
			return false
		}
	case wire.Error:
		if s.ignores { // it came after the data that failed, or before: the answer will tell
			s.maybe, s.spent, s.ignores = true, true, false
		}
		s.copyIn = false
		f := wire.ParseError(body)
		s.dying = f.Severity == "FATAL" || f.Severity == "PANIC"
		switch {
		case ours:
			s.refused = &f
		case s.client != nil && s.dying && s.client.doomed: // PostgreSQL was told to end it, and does not know why
			s.instead = wire.AppendError(nil, *s.client.why)
		case s.client != nil:
			l.failed(s, f)
		}
	case wire.ReadyForQuery:
		return l.readied(s, body)
	}
	return true
}

// failed is an error of what the client sent. PostgreSQL skips what follows up to
// the Sync, so what was noted of that is undone.
func (l *loop) failed(s *server, f wire.Fields) {
	c := s.client
	c.pool.count.failed(f.Code)
	s.shaping = owed{}
	defer l.unstall(c)
	x, _ := s.due.next()
	if x.instead.is(f) {
		s.instead = wire.AppendError(nil, x.instead.Fields)
	}
	if c.overdue && f.Code == cancelled.Code {
		late := l.explain(c, QueryTimeout, "")
		late.Severity = "ERROR"
		s.instead = wire.AppendError(nil, late)
	}
	open := c.batch.open && s.due.command() == nil // its Sync has not been sent
	goesOn := s.due.failed(func(x owed, oldest bool) { l.void(s, x, oldest) })
	l.undo(c, &c.batch.command)
	l.undo(c, s.due.command())
	if open || goesOn {
		c.batch.open, s.skipping = true, true
	}
	// A plan that no longer fits its statement, or a statement of ours that is not
	// there: what this server has is not what we think.
	if f.Code == "0A000" || f.Code == "26000" && strings.Contains(f.Message, prefix) {
		s.unsure = true
	}
}

// readied is a ReadyForQuery: one more answer is complete.
func (l *loop) readied(s *server, body []byte) bool {
	c := s.client
	owed, ok := s.due.ready(c != nil && c.batch.open)
	if !ok && s.maybe && c != nil {
		owed.due, ok, c.batch = forSync, true, batch{}
	}
	if !ok || len(body) != 1 || c == nil && !s.mayBeAlone(owed.due) {
		l.lost(s)
		return false
	}
	s.status = body[0]
	s.answered++
	switch {
	case c != nil:
	case owed.due == forPrelude:
		return true
	default:
		l.choreDone(s, owed.due)
		return false
	}
	if len(s.cancelNext) > 0 && !s.due.ours() {
		l.cancelNow(c, s)
	}
	switch owed.due {
	case forPrelude:
		return l.prepared(c, s)
	case forAsk:
		l.audited(s)
		if c.pins != 0 { // those who wait need another
			l.seek(s.pool)
		}
		return true
	case forTidy:
		s.refused = nil
		return true
	case forScan:
		l.scanned(s)
		return true
	}
	c.at, c.overdue, s.ignores = l.clock, false, false
	l.unstall(c)
	s.commands = s.commands && !s.due.none()
	if owed.command.what&wire.ResetAll != 0 {
		l.ran(c, s, &owed.command, wire.ResetAll)
	}
	l.undo(c, &owed.command) // what PostgreSQL did not say that it has done
	if s.status == wire.Idle {
		c.pool.count.transaction.add(l.clock.Sub(c.began))
		c.began = l.clock
		if s.due.none() {
			l.restart(c, s)
			c.quotes = false
		}
		if c.made != nil {
			l.defined(s.pool.tenant, *c.made)
			c.made = nil
		}
	}
	if s.unsure {
		s.unsure = false
		l.forgetAll(s)
	}
	return true
}

// mayBeAlone reports whether the answer to what may come while s has no client.
func (s *server) mayBeAlone(what due) bool { return what >= forTidy || what == forPrelude && s.dirty }

// prepared is the end of a prelude's answer. It reports false when c could not
// have what it asked for, and is gone.
func (l *loop) prepared(c *client, s *server) bool {
	if s.refused != nil { // a setting of the startup packet that the server does not take
		f := *s.refused
		f.Severity = "FATAL"
		s.refused, s.dirty = nil, true
		l.fatal(c, f)
		return false
	}
	if !s.due.ours() {
		l.agree(c, s)
	}
	return true
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
