package relay

import (
	"time"

	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/wire"
)

// client is somebody who has logged in. Owned by its loop.
type client struct {
	conn
	pool   *Pool
	server *server // paired with it; nil: idle or waiting
	mode   Mode
	serial uint64 // no other client of the loop had it

	// Of the present pairing:
	fresh     bool // the server must be told of c's settings before c's next transaction
	unnamed   bool // the server's unnamed statement is c's, or there is none
	wantClean bool // the first messages need a server with no traces of others

	began time.Time // of the transaction, at its first message
	at    time.Time // since when it has been quiet, or its query runs

	waiting    bool
	notified   bool      // … and was told so
	since      time.Time // when it began to wait
	pending    []byte    // what it sent before it waited, at most one read
	next, prev *client   // in pool.waiting

	names    map[string]*statement // its prepared statements; nil: none yet
	shapes   map[string]uint64     // … and the columns that it was told of them
	changed  *statement            // one of them, that has other columns by now
	runs     *effect               // of a portal that is bound and not executed, if it is a command
	last     unnamedStatement      // what its last Parse without a name said
	before   unnamedStatement      // … and what the one before said, while parsing
	parsing  bool                  // that Parse is not answered yet
	touched  []string              // unreported settings that may have changed since the last audit
	suspect  wire.Class            // … and what else may have
	prepared *effect               // of what it gave to PREPARE; nil: nothing
	made     *effect               // of the code that its transaction has made; nil: it makes nothing
	resets   bool                  // RESET or its kin is on its way
	discards bool                  // in mode Session: one of its statements may be DISCARD ALL
	quotes   bool                  // how its texts are to be read is not known now

	told  *params                      // what it knows of the reported parameters
	own   *params                      // … those that it chose; the others are the server's
	extra *params                      // settings that are not reported: of its startup packet, and carried since
	begin struct{ own, extra *params } // as they were at first: what DISCARD ALL goes back to
	batch batch
	// stalled: what it sent next can be understood when the batch before has been
	// answered; resumes: now it can.
	stalled, resumes bool
	discarding       bool // of a message that was refused, the rest
	pins             pins
	pinned           time.Time // since when it keeps its server
	// crowds: it keeps a server, and more clients of its pool do than may.
	crowds bool
	// overdue: its query was cancelled since it took too long.
	overdue bool
	// leaving: it said Terminate or sent its last byte; answers are still due.
	leaving bool
	dropped int          // bytes of a message that nobody waits for: late copy data, a cancelled batch
	skips   bool         // a batch was cancelled before it got a server: what follows is void up to its Sync
	doomed  bool         // is to go when its transaction ends
	why     *wire.Fields // … with this
	ended   func()
	login   string // as EndLogin names it
	once    bool   // its server is closed with it

	// For people:
	id      uint64
	name    string // of its login
	arrived time.Time
}

// add takes a client over. Bytes that came with its password may wait in the
// socket or, decrypted, in its TLS: no event would tell of them.
func (l *loop) add(t *Tenant, in Client, s socket) poll.Token {
	c := &client{
		pool: l.pool(t, in.Target), mode: in.Mode, ended: in.Ended, login: in.Login, once: in.Once,
		id: in.ID, name: in.Name, arrived: in.Since, began: in.Since, at: l.clock,
	}
	c.asClient = c
	c.told, c.own, c.extra = l.sets.of(in.Told), l.sets.of(in.Own), l.sets.of(in.Set)
	c.begin.own, c.begin.extra = c.own, c.extra
	if err := l.join(&c.conn, s); err != nil {
		l.log.Error("client", "err", err)
		c.ended()
		return poll.Token{}
	}
	at := poll.Token{Slot: c.slot, Gen: l.slots[c.slot].gen}
	l.clients++
	l.serial++
	c.serial = l.serial
	c.pool.clients++
	switch e := t.gate.ending; {
	case l.draining:
		l.refuse(c, ShuttingDown)
		return at
	case e != nil && !e.once:
		l.fatal(c, e.why)
		return at
	}
	l.soon() // its time-outs begin
	l.serveClient(c)
	return at
}

// serveClient reads from c once, unless the server or c itself has not yet taken
// what was sent before.
func (l *loop) serveClient(c *client) {
	switch {
	case c.broken:
		l.end(c)
		return
	case len(c.out) > 0, c.waiting, c.leaving, c.stalled, !c.readable && !c.resumes, c.server != nil && len(c.server.out) > 0:
		return
	case c.pool.tenant.gate.closed() && c.between(): // it has a server, but may not begin
		return
	case c.server != nil && c.server.cancelling > 0 && c.server.due.none():
		return // a cancel on its way must not hit what comes next
	case c.server != nil && c.fresh && !c.server.due.none():
		return // the server is told first, and not in the middle of something
	case c.resumes:
		c.resumes = false
		b := append(l.resumed[:0], c.partial...)
		l.resumed, c.partial = b, nil
		l.take(c, b)
		l.again(&c.conn)
		return
	}
	b, err := l.fill(&c.conn)
	c.pool.count.bytesIn += uint64(len(b))
	l.take(c, b)
	switch {
	case c.gone:
	case over(err):
		l.bye(c)
	case c.readable:
		l.again(&c.conn)
	}
}

// take does what b asks for: with the server that c has, or once there is one.
func (l *loop) take(c *client, b []byte) {
	if c.server == nil {
		if b = l.alone(c, b); len(b) == 0 || !l.attach(c) {
			if !c.gone && len(b) > 0 {
				c.pending = append(c.pending[:0], b...)
				l.seek(c.pool)
			}
			return
		}
	}
	l.forward(c, b)
}

// alone deals with what needs no server and returns the rest: the end of a COPY
// whose answer was an error (PostgreSQL drops late copy messages too), a
// Terminate, and a message that has only begun.
func (l *loop) alone(c *client, b []byte) []byte {
	for {
		n := min(c.dropped, len(b))
		b, c.dropped = b[n:], c.dropped-n
		kind, total, ok := wire.Next(b)
		switch {
		case !ok:
			c.keep(b)
			return nil
		case total == 0:
			l.refuse(c, Malformed)
			return nil
		case c.skips && kind == wire.Sync:
			c.skips, c.dropped = false, total
			l.write(&c.conn, wire.AppendReady(nil, wire.Idle))
		case c.skips && kind != wire.Terminate:
			c.dropped = total
		case kind == wire.CopyData, kind == wire.CopyDone, kind == wire.CopyFail:
			c.dropped = total
		case kind == wire.Terminate:
			l.end(c)
			return nil
		case len(b) < total && total <= maxLook:
			c.keep(b)
			return nil
		default:
			return b
		}
	}
}

// bye is a client's last byte. PostgreSQL still answers what came before it, so
// the pair stays until then.
func (l *loop) bye(c *client) {
	c.leaving = true
	s := c.server
	if s == nil || c.broken || s.due.none() || c.batch.open || c.remain > 0 || s.copyIn {
		l.end(c)
	}
}

// refuse ends c with an error of the relay's own.
func (l *loop) refuse(c *client, why Refusal) { l.fatal(c, l.explain(c, why, "")) }

// explain words a refusal.
func (l *loop) explain(c *client, why Refusal, about string) wire.Fields {
	return l.cfg.Explain(why, c.pool.Target(), about)
}

// fatal ends c with an error, which is the last thing it hears.
func (l *loop) fatal(c *client, f wire.Fields) {
	if c.gone {
		return
	}
	f.Severity = "FATAL"
	l.write(&c.conn, wire.AppendError(nil, f))
	l.end(c)
}

// end closes c and decides what becomes of its server.
func (l *loop) end(c *client) {
	if c.gone {
		return
	}
	if c.waiting {
		l.unqueue(c)
	}
	if c.server != nil {
		l.bereave(c.server)
	}
	if c.tls != nil && !c.broken {
		if c.tls.CloseWrite() == nil {
			l.send(&c.conn, c.tls.TakeOut())
		}
	}
	l.pin(c, 0)
	l.leave(&c.conn)
	l.clients--
	c.pool.clients--
	c.pending = nil
	l.abandon(&c.batch.command)
	l.unnameAll(c)
	c.ended()
}
