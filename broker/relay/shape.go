package relay

import (
	"bytes"
	"hash/maphash"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A driver that has been told the columns of a prepared statement decodes rows by
// them for ever. PostgreSQL holds to that: when the columns have changed it answers
// `cached plan must not change result type`. A statement that is prepared anew on
// another server knows nothing of what a client was told, so there it is described
// first, and the client's Bind waits for the answer.

var shapeSeed = maphash.MakeSeed()

// shapeOf is what a driver goes by in the body of a RowDescription: names and
// types, but not the tables that columns come from. 0 is a statement without rows.
func shapeOf(kind byte, body []byte) uint64 {
	if kind != wire.RowDescription || len(body) < 2 {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(shapeSeed)
	const table, rest = 6, 12 // oid and number of the column; type, its size and modifier, format
	for body = body[2:]; ; {
		end := bytes.IndexByte(body, 0)
		if end < 0 || len(body) < end+1+table+rest {
			return h.Sum64()
		}
		_, _ = h.Write(body[:end+1])
		_, _ = h.Write(body[end+1+table : end+1+table+rest])
		body = body[end+1+table+rest:]
	}
}

// reshaped has st described, if s lacks it and c has been told its columns. It
// reports whether c has to wait for that.
func (l *loop) reshaped(c *client, s *server, name string, st *statement) bool {
	if _, told := c.shapes[name]; !told || c.changed == st {
		return false
	}
	if _, has := s.has[st]; has {
		return false
	}
	l.ensure(s, st)
	s.due.push(owed{due: forShape, st: st, name: name, ours: true})
	l.insert = appendFlush(appendDescribe(l.insert, s.nameOf(st)))
	l.asked = true
	return true
}

// shaped is the description of a statement's columns.
func (l *loop) shaped(s *server, kind byte, body []byte) {
	x, c := s.shaping, s.client
	s.shaping = owed{}
	shape := shapeOf(kind, body)
	switch {
	case c == nil || x.st == nil:
	case !x.ours:
		if c.shapes == nil {
			c.shapes = map[string]uint64{}
		}
		c.shapes[x.name] = shape
	default:
		if c.shapes[x.name] != shape {
			c.changed = x.st
			s.old = append(s.old, s.nameOf(x.st))
			l.forget(s, x.st)
			s.unsure = true // that name is taken now
		}
		l.unstall(c)
	}
}

// unstall lets c go on with a message that has waited for an answer.
func (l *loop) unstall(c *client) {
	if c.stalled {
		c.stalled, c.resumes = false, true
		l.again(&c.conn)
	}
}

// refuseChanged has a Bind fail whose statement has other columns by now.
func (l *loop) refuseChanged(c *client, s *server, msg []byte, at int, name []byte, total int) bool {
	if c.changed == nil || c.changed != c.names[string(name)] {
		return false
	}
	c.changed = nil
	s.due.push(owed{due: forError, instead: &refusal{
		Fields: wire.Fields{Severity: "ERROR", Code: "0A000", Message: "cached plan must not change result type"},
		code:   "26000", about: nothing,
	}})
	l.rename(msg, at, name, nothing, total)
	return true
}

func appendDescribe(b []byte, name string) []byte {
	b, at := wire.Begin(b, wire.Describe)
	return wire.End(wire.String(append(b, 'S'), name), at)
}

func appendFlush(b []byte) []byte { return append(b, wire.Flush, 0, 0, 0, 4) }
