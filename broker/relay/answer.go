package relay

import (
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

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
		if s.client != nil { // what its client waits for does not come before the end of the data
			l.unstall(s.client)
		}
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
