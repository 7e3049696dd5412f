package relay

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// batch is what the broker knows of the messages since the last Sync or Query.
type batch struct {
	open    bool    // extended messages that no Sync has ended yet
	unseen  bool    // a Parse of the unnamed statement was too long to be remembered
	bound   bool    // the unnamed statement was bound
	silent  bool    // some of its messages have no entry among the dues
	command command // among what it runs, and no error came so far
}

// forward sends b, which starts at a message or inside one that streams, to c's
// server, and notes what its messages mean. Nearly all go as they are, in one
// write; what names a prepared statement is renamed. What is cut off at the end
// of b is kept if it must be seen whole.
func (l *loop) forward(c *client, b []byte) {
	s := c.server
	begins := c.between()
	if begins {
		c.began = l.clock
	}
	if s.due.none() {
		c.at = l.clock
	}
	i := min(c.remain, len(b))
	c.remain -= i
	out, from := l.scratch[:0], 0 // from: what has not been copied to out
	if c.discarding {
		from = i
		c.discarding = c.remain > 0
	}
	for i < len(b) {
		kind, total, ok := wire.Next(b[i:])
		if !ok {
			break
		}
		if total == 0 {
			l.refuse(c, Malformed)
			return
		}
		if kind == wire.Terminate {
			b, c.leaving = b[:i], true
			break
		}
		have := min(total, len(b)-i)
		if have < total && (total <= maxLook || have < maxLook && !names(kind, b[i:i+have])) {
			break
		}
		if !s.due.none() && l.unsettled(c, s, kind, b[i:i+have]) {
			c.stalled = true
			break
		}
		if (kind == wire.Query || kind == wire.FunctionCall) && c.batch.open && c.batch.silent && !s.skipping {
			l.settle(s)
		} else if !s.skipping || kind == wire.Sync {
			l.note(c, s, kind, b[i:i+have], total)
		}
		if l.asked { // the message comes again when the answer is there
			l.asked, c.stalled = false, true
			out, from = append(append(out, b[from:i]...), l.insert...), i
			l.insert = l.insert[:0]
			break
		}
		if l.replaced || len(l.insert) > 0 {
			out = append(append(out, b[from:i]...), l.insert...)
			from = i
			if l.replaced {
				from += have
			}
			c.discarding = l.replaced && l.refused && have < total
			l.insert, l.replaced, l.refused = l.insert[:0], false, false
		}
		c.remain = total - have
		i += have
	}
	c.keep(b[i:])
	l.scratch = out
	l.pass(c, s, out, b[from:i], begins)
	switch {
	case c.leaving && s.due.none():
		l.end(c)
	case s.due.none():
		l.release(s)
	}
}

// settle finds out, before a Query or FunctionCall in a batch that no Sync has ended,
// whether what came before it has failed: then PostgreSQL skips it, which cannot be
// told from its failing by itself. The answer to a Close of nothing comes behind theirs.
func (l *loop) settle(s *server) {
	l.insert = appendFlush(appendClose(l.insert, nothing))
	s.due.push(owed{due: forOurs, settles: true})
	l.asked = true
}

// unsettled reports whether a batch that has not been answered decides what the
// statement is that a message is about.
func (l *loop) unsettled(c *client, s *server, kind byte, msg []byte) bool {
	body := msg[wire.HeaderLen:]
	switch kind {
	case wire.Bind:
		_, body, _ = wire.Cut(body)
	case wire.Describe, wire.Close:
		if len(body) == 0 || body[0] != 'S' {
			return false
		}
		body = body[1:]
	case wire.Parse:
	default:
		return false
	}
	name, _, _ := wire.Cut(body)
	if len(name) == 0 {
		return kind != wire.Parse && s.due.unsettledUnnamed()
	}
	st := c.names[string(name)]
	return s.due.unsettled(string(name), st) || s.due.frees(string(name), st)
}

// awaits has a text that frees prepared statements, or all there is, wait until it is
// known which of them there are, and what became of another such text before it in
// its batch. It reports whether c has to.
func (l *loop) awaits(c *client, s *server, text []byte, e effect) bool {
	switch {
	case e.command == 0 || c.mode == Session:
		return false
	case c.batch.command.what != 0 && c.batch.silent: // what one frees, the other need not
		l.settle(s)
		return true
	case s.due.none():
		return false
	}
	if e.command&(wire.DeallocateAll|wire.DiscardAll) != 0 {
		l.asked = s.due.unsettledAny()
	}
	if e.command&wire.Deallocate != 0 {
		wire.Commands(text, c.backslash(), func(name string) (string, bool) {
			l.asked = l.asked || s.due.unsettled(name, c.names[name])
			return "", false
		})
	}
	return l.asked
}

// names reports whether the names in the beginning of a message are all there.
func names(kind byte, msg []byte) bool {
	want := 0
	switch kind {
	case wire.Parse:
		want = 1
	case wire.Bind:
		want = 2
	}
	return bytes.Count(msg[wire.HeaderLen:], []byte{0}) >= want
}

// pass writes to s: first what it must be told, if it must and nothing of c's is
// under way, then begun and rest.
func (l *loop) pass(c *client, s *server, begun, rest []byte, begins bool) {
	if len(begun)+len(rest) == 0 {
		return
	}
	if c.fresh && begins {
		c.fresh = false
		first := l.prelude(l.first[:0], c, s)
		s.last = c.serial
		if len(first) > 0 {
			l.first = append(append(first, begun...), rest...)
			l.write(&s.conn, l.first)
			return
		}
		l.agree(c, s)
	}
	if len(begun) == 0 {
		l.write(&s.conn, rest)
		return
	}
	l.scratch = append(begun, rest...)
	l.write(&s.conn, l.scratch)
}

// note takes one message of the client's into account, and may have something
// sent before it or instead of it. msg may be only the beginning of its total
// bytes; what cannot be read whole is taken to leave state behind.
func (l *loop) note(c *client, s *server, kind byte, msg []byte, total int) {
	body, whole := msg[wire.HeaderLen:], len(msg) == total
	switch kind {
	case wire.Query:
		l.noteQuery(c, s, body, whole)
	case wire.FunctionCall:
		l.noteCall(c, s, body)
	case wire.Sync:
		if s.copyIn { // which PostgreSQL ignores, if the data is good
			s.ignores = s.ignores || c.batch.open
			return
		}
		s.skipping = false
		s.due.push(owed{due: forSync, command: c.batch.command})
		l.noteSync(c)
	case wire.CopyDone, wire.CopyFail:
		if s.copyIn {
			s.copyIn = false
		} else {
			s.due.endsCopy(c.batch.open)
		}
	case wire.CopyData, wire.Flush:
	case wire.Parse:
		c.batch.open = true
		l.noteParse(c, s, body, whole)
	case wire.Bind:
		if portal, _, ok := wire.Cut(body); ok {
			l.noteUse(c, s, msg, wire.HeaderLen+len(portal)+1, total)
		}
		c.batch.open = true // also while it waits: what was sent for its sake has no Sync yet
		c.batch.silent = c.batch.silent || !l.asked
	case wire.Describe:
		c.batch.open = true
		if len(body) > 0 && body[0] == 'S' {
			l.noteUse(c, s, msg, wire.HeaderLen+1, total)
		} else {
			c.batch.silent = true
		}
	case wire.Close:
		c.batch.open = true
		l.noteClose(c, s, body)
	case wire.Execute:
		if c.runs != nil && l.awaits(c, s, nil, *c.runs) {
			return
		}
		c.batch.open, c.batch.silent = true, true
		if c.runs != nil {
			l.command(c, &c.batch.command, *c.runs)
			c.runs = nil
		}
	default:
		c.batch.open, c.batch.silent = true, true
	}
}

// binds notes that a portal of c, when it is executed, does e.
func (c *client) binds(e effect) {
	if e.command != 0 {
		c.runs = &e
	}
}

// noteQuery looks at a simple query's text.
func (l *loop) noteQuery(c *client, s *server, body []byte, whole bool) {
	e := l.effectOf(c, body, whole)
	if l.awaits(c, s, body, e) {
		return
	}
	c.pool.count.queries++
	does := owed{due: forQuery, query: true, command: c.batch.command}
	apart := !c.batch.open
	if !apart && c.mode != Session { // it may be skipped
		does.before, does.mine = c.last.clone(), c.unnamed
	}
	c.batch, c.runs = batch{}, nil
	// It destroys the unnamed statement, whoever made it.
	c.unnamed = true
	c.last.forget()
	if f := l.denied(c, s, e); f != nil {
		does.instead = f
		s.due.push(does)
		l.instead(wire.AppendQuery(l.insert, nothing))
		return
	}
	l.effect(c, s, e)
	if text := l.deallocate(c, s, &does, body, e, apart); text != nil {
		l.instead(wire.AppendQuery(l.insert, string(text)))
	}
	l.command(c, &does.command, e)
	s.due.push(does)
}

// noteCall looks at the function that a FunctionCall names by its oid. Those of the
// database itself are not told apart.
func (l *loop) noteCall(c *client, s *server, body []byte) {
	s.due.push(owed{due: forQuery, command: c.batch.command})
	c.batch = batch{}
	const firstOwn = 16384
	oid := uint32(firstOwn)
	if len(body) >= 4 {
		oid = binary.BigEndian.Uint32(body)
	}
	if oid >= firstOwn {
		l.effect(c, s, c.pool.routines.all())
		return
	}
	l.effect(c, s, effect{class: wire.FunctionClass(oid)})
}

// noteParse looks at a statement's name and text.
func (l *loop) noteParse(c *client, s *server, body []byte, whole bool) {
	name, rest, ok := wire.Cut(body)
	whole = whole && ok
	e := l.effectOf(c, text(rest), whole)
	if f := l.denied(c, s, e); f != nil {
		l.refuseParse(c, s, name, f)
		return
	}
	switch {
	case c.mode == Session:
		l.effect(c, s, e)
		c.discards = c.discards || e.command&wire.DiscardAll != 0
		s.due.push(owed{due: forParse})
	case len(name) == 0 && whole && l.awaits(c, s, text(rest), e):
	case len(name) == 0:
		if c.batch.silent { // when this is answered, an error can only be the Parse's own
			l.insert = appendClose(l.insert, nothing)
			s.due.push(owed{due: forOurs})
		}
		x := owed{due: forParse, unnamed: true, mine: c.unnamed}
		if c.parsing {
			x.before = c.last.clone()
		} else {
			c.last, c.before = c.before, c.last
		}
		c.parsing, c.unnamed = true, true
		c.last.forget()
		if whole {
			c.last.body = append(c.last.body, rest...)
		}
		c.last.effect = e
		c.batch.unseen, c.batch.bound = !whole, false
		if whole {
			freed := owed{command: c.batch.command}
			if sql := l.deallocate(c, s, &freed, text(rest), e, false); sql != nil {
				c.batch.command = freed.command
				l.instead(appendParse(l.insert, "", append(sql, 0, 0, 0)))
			}
		}
		s.due.push(x)
	case whole:
		l.named(c, s, string(name), rest, e)
	case c.mode != Auto, strings.HasPrefix(string(name), prefix): // it cannot stay, or not by that name
		l.refuseParse(c, s, name, failing(l.explain(c, LongStatement, "")))
		l.refused = true
	default:
		l.effect(c, s, e)
		if c.names == nil {
			c.names = map[string]*statement{}
		}
		x := owed{due: forParse}
		if _, taken := c.names[string(name)]; !taken {
			x.st, x.name = unseen, string(name)
			c.names[x.name] = unseen
		}
		l.pin(c, c.pins|pinLong)
		s.due.push(x)
	}
}

// noteSync is the end of a batch. Of an unnamed statement that a later batch may
// bind, c keeps the text; if that is too long, the server.
func (l *loop) noteSync(c *client) {
	if c.batch.unseen && !c.batch.bound {
		l.pin(c, c.pins|pinLong)
	}
	if c.batch.bound && len(c.last.body) > maxUnnamed {
		c.last.body = nil
	}
	if len(c.before.body) > maxUnnamed {
		c.before.body = nil
	}
	c.batch = batch{}
}

// noteUse looks at the statement that a Bind or Describe names, from at on.
func (l *loop) noteUse(c *client, s *server, msg []byte, at, total int) {
	name, _, ok := wire.Cut(msg[at:])
	switch {
	case !ok || c.mode == Session:
		c.pool.count.queries++
	case len(name) == 0:
		if msg[0] == wire.Bind {
			if l.refuseBind(c, s, msg, at, name, c.last.effect, total) {
				return
			}
			c.pool.count.queries++
			c.batch.bound = true
			l.effect(c, s, c.last.effect)
			c.binds(c.last.effect)
		}
		l.unnamed(c, s)
		if msg[0] == wire.Describe {
			s.due.push(owed{due: forShape})
		}
	default:
		l.refer(c, s, msg, at, name, total)
	}
}

// noteClose looks at what a Close names.
func (l *loop) noteClose(c *client, s *server, body []byte) {
	if c.mode != Session && len(body) > 0 && body[0] == 'S' {
		name, _, _ := wire.Cut(body[1:])
		if len(name) > 0 {
			l.closed(c, s, string(name))
			return
		}
		s.due.push(owed{due: forClose, before: c.last.clone(), mine: c.unnamed})
		c.unnamed = true
		c.last.forget()
		return
	}
	s.due.push(owed{due: forClose})
}

// text is the SQL of a Parse's body, without the types behind it.
func text(body []byte) []byte {
	sql, _, _ := wire.Cut(body)
	return sql
}
