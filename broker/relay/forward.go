package relay

import (
	"github.com/nusajournal/dermaga/broker/wire"
)

// batch is what the broker knows of the messages since the last Sync or Query.
type batch struct {
	open     bool // extended messages that no Sync has ended yet
	parsed   bool // a Parse of the unnamed statement was among them
	bound    bool // … and a Bind of it
	discards bool // it is DISCARD ALL, and no error came so far
}

// forward sends b, which starts at a message or inside one that streams, to c's
// server, and notes what its messages mean. What is cut off at the end of b is
// kept if it must be seen whole.
func (l *loop) forward(c *client, b []byte) {
	s := c.server
	i := min(c.remain, len(b))
	c.remain -= i
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
		if have < total && total <= maxLook {
			break
		}
		l.note(c, s, kind, b[i+wire.HeaderLen:i+have], have == total)
		if c.gone {
			return
		}
		c.remain = total - have
		i += have
	}
	c.keep(b[i:])
	if c.fresh && i > 0 {
		c.fresh = false
		if out := l.prelude(l.scratch[:0], c, s); len(out) > 0 {
			l.scratch = append(out, b[:i]...)
			l.write(&s.conn, l.scratch)
			i = 0
		} else {
			l.agree(c, s)
		}
		s.last = c.serial
	}
	if i > 0 {
		l.write(&s.conn, b[:i])
	}
	switch {
	case c.leaving && s.due.none():
		l.end(c)
	case s.due.none():
		l.release(s)
	}
}

// note takes one message of the client's into account. body may be only its
// beginning; what cannot be read whole is taken to leave state behind.
func (l *loop) note(c *client, s *server, kind byte, body []byte, whole bool) {
	switch kind {
	case wire.Query:
		s.due.push(forQuery)
		class := l.classify(c, body, whole)
		c.batch = batch{discards: class&wire.DiscardsAll != 0}
		c.kept &^= keepUnnamed
		c.unnamed = true // it destroys the unnamed statement, whoever made it
		c.pool.count.queries++
	case wire.FunctionCall:
		s.due.push(forQuery)
		c.kept |= keepState // the function is named by its oid only
	case wire.Sync:
		if !s.copyIn {
			s.due.push(forSync)
		}
		if c.batch.parsed && !c.batch.bound {
			c.kept |= keepUnnamed
		}
		c.batch = batch{}
	case wire.CopyDone, wire.CopyFail:
		if s.copyIn {
			s.copyIn = false
		} else {
			s.due.push(copyEnd)
		}
	case wire.CopyData:
	case wire.Parse:
		c.batch.open = true
		l.noteParse(c, body, whole)
	case wire.Bind:
		c.batch.open = true
		_, rest, _ := wire.Cut(body)
		l.noteUse(c, rest)
		c.batch.bound = true
		c.pool.count.queries++
	case wire.Describe, wire.Close:
		c.batch.open = true
		if kind == wire.Describe && len(body) > 0 && body[0] == 'S' {
			l.noteUse(c, body[1:])
		}
	default:
		c.batch.open = true
	}
}

// noteParse looks at a statement's name and text.
func (l *loop) noteParse(c *client, body []byte, whole bool) {
	name, text, ok := wire.Cut(body)
	if !ok {
		name, text, whole = nil, nil, false
	}
	l.classify(c, text, whole)
	if len(name) > 0 {
		c.kept |= keepNamed
		return
	}
	c.batch.parsed, c.batch.bound = true, false
	c.kept &^= keepUnnamed
	c.unnamed = true
}

// noteUse looks at the statement that a Bind or Describe names. The unnamed one
// may be somebody else's on a server that c was just paired with: then it is
// closed first, and PostgreSQL answers that there is none.
func (l *loop) noteUse(c *client, b []byte) {
	name, _, ok := wire.Cut(b)
	switch {
	case ok && len(name) > 0, c.batch.parsed:
	case c.kept&keepUnnamed != 0: // parsed in the batch before, and kept for this one
		c.batch.parsed = true
		c.kept &^= keepUnnamed
	case c.unnamed:
	case c.fresh:
		c.unnamed, c.wantNoUnnamed = true, true
	default:
		l.refuse(c, NoStatement)
	}
}

// classify notes what a text may leave behind.
func (l *loop) classify(c *client, text []byte, whole bool) wire.Class {
	if !whole {
		c.kept |= keepState
		return 0
	}
	std, _ := c.told.get("standard_conforming_strings")
	class := wire.Classify(text, std == "off")
	if class == 0 {
		return 0
	}
	if class&wire.Sequences != 0 && c.fresh {
		c.wantClean = true
	}
	if class&wire.Sticks != 0 {
		c.kept |= keepState
	}
	if class&wire.Taints != 0 {
		c.kept |= keepTaint
	}
	if class&wire.Resets != 0 && c.extra != l.sets.none {
		c.kept |= keepState
	}
	return class
}
