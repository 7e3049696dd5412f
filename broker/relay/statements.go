package relay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// statement is a prepared statement of the protocol, interned: clients that
// prepare the same text with the same parameter types under the same settings
// share it, whatever they call it, and servers prepare it at most once.
type statement struct {
	key statementKey
	id  uint64
	effect
	// uses counts the clients' names for it and the servers that have it.
	uses int
}

// statementKey is what makes two statements the same. The settings belong to it:
// '01/02/2026' is parsed into two dates under two DateStyles.
type statementKey struct {
	body       string // of Parse, behind the name: text, NUL, types
	own, extra *params
	tenant     *Tenant
	edition    uint64 // of the tenant's objects: a Parse after an ALTER TABLE is a new one
}

// unseen stands for a statement whose Parse was too long to be looked at. It
// lives in one server under the client's own name, so the server is kept.
var unseen = &statement{uses: 1}

// prefix begins the names that statements have on servers, with the id and the
// server's epoch behind it. A client's own names never reach a server, but for
// those that nobody has prepared: PostgreSQL itself says so then.
const prefix = "dermaga_"

// nothing is a name that no statement has. Closing it is answered like any Close,
// at the right place, and does nothing.
const nothing = "dermaga"

// maxUnnamed is the longest unnamed statement, in bytes, that a client remembers
// after it has been bound.
const maxUnnamed = 4 << 10

func (s *server) nameOf(st *statement) string { return st.name(s.epoch) }

// name is that of st on servers of that epoch.
func (st *statement) name(epoch uint64) string { return fmt.Sprintf("%s%d_%d", prefix, st.id, epoch) }

// intern finds or makes the statement of a Parse's body for c; e is what it does.
func (l *loop) intern(c *client, body []byte, e effect) *statement {
	t := c.pool.tenant
	if st, ok := l.statements[statementKey{string(body), c.own, c.extra, t, t.edition}]; ok {
		return st
	}
	l.lastStatement++
	st := &statement{key: statementKey{string(body), c.own, c.extra, t, t.edition}, id: l.lastStatement, effect: e}
	l.statements[st.key] = st
	return st
}

func (l *loop) use(st *statement) { st.uses++ }

// disuse forgets a statement that no client names and no server has.
func (l *loop) disuse(st *statement) {
	if st.uses--; st.uses == 0 {
		delete(l.statements, st.key)
	}
}

// named is a Parse with a name: c has a new statement.
func (l *loop) named(c *client, s *server, name string, body []byte, e effect) {
	if c.names == nil {
		c.names = map[string]*statement{}
	}
	if st, ok := c.names[name]; ok {
		if st == unseen {
			s.due.push(owed{due: forParse})
			return // PostgreSQL knows it by the same name
		}
		l.parseTwice(s, name, body)
		return
	}
	st := l.intern(c, body, e)
	if s.due.frees("", st) {
		l.asked = true // it waits for the answer
		return
	}
	c.names[name] = st
	delete(c.shapes, name)
	l.use(st)
	if _, has := s.has[st]; has && (s.due.fresh(st) || s.status == wire.InFailed || s.due.command() != nil) {
		// An earlier batch may not have prepared it, or have failed its transaction,
		// in which PostgreSQL refuses a Parse.
		l.evict(s, st)
	} else if has {
		s.touch(st)
		s.due.push(owed{due: forParsed, st: st, name: name})
		l.instead(appendClose(l.insert, nothing))
		return
	}
	l.room(s)
	l.put(s, st)
	s.due.push(owed{due: forParse, st: st, name: name})
	l.instead(appendParse(l.insert, s.nameOf(st), body))
}

// refer is a Bind or Describe of a named statement: msg says its name from at on.
// Where the server lacks the statement it is prepared first.
func (l *loop) refer(c *client, s *server, msg []byte, at int, name []byte, total int) {
	st := c.names[string(name)]
	if msg[0] == wire.Describe && (st == nil || st == unseen) {
		s.due.push(owed{due: forShape})
	}
	switch {
	case st == unseen:
		return
	case st == nil && !strings.HasPrefix(string(name), prefix):
		return // PostgreSQL knows of none either, or the client made it in SQL
	case st == nil:
		l.rename(msg, at, name, nothing, total)
		return
	}
	if msg[0] == wire.Bind {
		if st.command != 0 && l.awaits(c, s, text([]byte(st.key.body)), st.effect) {
			return
		}
		if l.reshaped(c, s, string(name), st) || l.refuseChanged(c, s, msg, at, name, total) {
			return
		}
		if l.refuseBind(c, s, msg, at, name, st.effect, total) {
			return
		}
		c.pool.count.queries++
		l.effect(c, s, st.effect)
		c.binds(st.effect)
		if l.deallocateOnce(c, s, st, msg, at, name, total) {
			return
		}
	}
	l.ensure(s, st)
	if msg[0] == wire.Describe {
		s.due.push(owed{due: forShape, st: st, name: string(name)})
	}
	l.rename(msg, at, name, s.nameOf(st), total)
}

// closed is a Close of a named statement: the client's name is free again, and
// servers keep what they have.
func (l *loop) closed(c *client, s *server, name string) {
	st := c.names[name]
	if st == nil || st == unseen {
		delete(c.names, name)
		s.due.push(owed{due: forClose})
		if st == nil && strings.HasPrefix(name, prefix) { // it may be another client's
			l.instead(appendClose(l.insert, nothing))
		}
		return
	}
	delete(c.names, name)
	s.due.push(owed{due: forClose, st: st, name: name})
	l.instead(appendClose(l.insert, nothing))
	l.disuse(st)
}

// unnamed makes sure that the unnamed statement that c refers to is c's own: it
// is prepared again from what c sent last, or closed, so that PostgreSQL answers
// that there is none.
func (l *loop) unnamed(c *client, s *server) {
	if c.unnamed {
		return
	}
	c.unnamed = true
	if len(c.last.body) > 0 {
		l.insert = appendParse(l.insert, "", c.last.body)
	} else {
		l.insert = appendClose(l.insert, "")
	}
	s.due.push(owed{due: forOurs, unnamed: true})
}

// deallocate is SQL's DEALLOCATE of names that c gave in the protocol, as PDO sends
// it: the text with the server's names for them, nil if there are none. The client's
// names go with x. apart says that it stands in no batch.
func (l *loop) deallocate(c *client, s *server, x *owed, text []byte, e effect, apart bool) []byte {
	if e.command&wire.Deallocate == 0 || c.mode == Session || len(c.names) == 0 {
		return nil
	}
	_, text = wire.Commands(text, c.backslash(), func(name string) (string, bool) {
		st := c.names[name]
		if st == nil || st == unseen {
			return "", false
		}
		if apart {
			l.ensureApart(s, st)
		} else {
			l.ensure(s, st)
		}
		as := s.nameOf(st)
		x.instead = missing(name, as)
		if x.command.names == nil {
			x.command.names = map[string]*statement{}
		}
		x.command.names[name] = st
		x.command.what |= wire.Deallocate
		x.command.left++
		s.commands = true
		delete(c.names, name)
		l.forget(s, st) // if PostgreSQL refuses, s is not sure any more
		return `"` + as + `"`, true
	})
	return text
}

// deallocateOnce is a Bind of a statement of the protocol that is DEALLOCATE: each
// server calls what it frees by another name, so it is prepared for this once.
func (l *loop) deallocateOnce(c *client, s *server, st *statement, msg []byte, at int, name []byte, total int) bool {
	if len(msg) < total {
		return false
	}
	x := owed{command: c.batch.command}
	sql := l.deallocate(c, s, &x, text([]byte(st.key.body)), st.effect, false)
	if sql == nil {
		return false
	}
	c.batch.command = x.command
	const once = prefix + "once"
	l.insert = appendParse(l.insert, once, append(sql, 0, 0, 0))
	l.rename(msg, at, name, once, total)
	l.insert = appendClose(l.insert, once)
	s.due.push(owed{due: forOurs})
	s.due.push(owed{due: forOurs})
	return true
}

// unnamedStatement is what a client gave to Parse without a name.
type unnamedStatement struct {
	body []byte // behind the name; empty: there is none
	effect
}

func (u *unnamedStatement) clone() *unnamedStatement {
	return &unnamedStatement{body: bytes.Clone(u.body), effect: u.effect}
}

func (u *unnamedStatement) forget() { u.body, u.effect = u.body[:0], effect{} }

// ensure prepares st on s, if s lacks it.
func (l *loop) ensure(s *server, st *statement) {
	if l.lacks(s, st) {
		l.insert = appendParse(l.insert, s.nameOf(st), []byte(st.key.body))
		s.due.push(owed{due: forOurs, st: st})
	}
}

// ensureApart is ensure before a Query: with a Sync of its own, so that PostgreSQL
// does not skip the Query should it refuse the Parse.
func (l *loop) ensureApart(s *server, st *statement) {
	if l.lacks(s, st) {
		l.insert = wire.AppendSync(appendParse(l.insert, s.nameOf(st), []byte(st.key.body)))
		s.due.push(owed{due: forTidy})
	}
}

// lacks reports whether st has to be prepared on s, and notes that it will be.
func (l *loop) lacks(s *server, st *statement) bool {
	if _, has := s.has[st]; has {
		s.touch(st)
		return false
	}
	l.room(s)
	l.put(s, st)
	s.pool.count.parses++
	return true
}

// put notes that s has st.
func (l *loop) put(s *server, st *statement) {
	if s.has == nil {
		s.has = map[*statement]uint64{}
	}
	s.touch(st)
	l.use(st)
}

// touch notes that s has used st just now.
func (s *server) touch(st *statement) {
	s.uses++
	s.has[st] = s.uses
}

// room closes the statement that s has not used for the longest time, if s has as
// many as it may.
func (l *loop) room(s *server) {
	if len(s.has) < l.cfg.MaxStatements {
		return
	}
	var oldest *statement
	for st, used := range s.has {
		if oldest == nil || used < s.has[oldest] {
			oldest = st
		}
	}
	l.evict(s, oldest)
}

// evict closes st on s.
func (l *loop) evict(s *server, st *statement) {
	l.insert = appendClose(l.insert, s.nameOf(st))
	s.due.push(owed{due: forOurs, st: st, closes: true, epoch: s.epoch})
	l.forget(s, st)
}

// spare is an evict of a name of that epoch which PostgreSQL has skipped.
func (l *loop) spare(s *server, st *statement, epoch uint64) {
	if now, ok := l.statements[st.key]; ok && now != st || epoch != s.epoch { // prepared anew meanwhile, under another name
		s.old = append(s.old, st.name(epoch))
		return
	}
	l.statements[st.key] = st
	l.put(s, st)
}

// forget notes that s lacks st.
func (l *loop) forget(s *server, st *statement) {
	if _, has := s.has[st]; has {
		delete(s.has, st)
		l.disuse(st)
	}
}

// forgetAll is for a server of which it is not known what it has: it is prepared
// anew, under other names. The old ones are closed when there is time.
func (l *loop) forgetAll(s *server) {
	for st := range s.has {
		s.old = append(s.old, s.nameOf(st))
		l.disuse(st)
	}
	clear(s.has)
	s.epoch++
}

// tidy closes on s what forgetAll has left there.
func (l *loop) tidy(s *server) {
	var out []byte
	for _, name := range s.old {
		out = appendClose(out, name)
		s.due.push(owed{due: forOurs})
	}
	s.old = nil
	l.chore(s, forTidy, wire.AppendSync(out))
}

// void undoes what was noted of a message that PostgreSQL has refused, as its own
// error says, or skipped.
func (l *loop) void(s *server, x owed, own bool) {
	c := s.client
	switch x.due {
	case forQuery:
		l.undo(c, &x.command)
		if x.before != nil {
			l.unnamedWas(s, x.before, x.mine)
		}
	case forParse, forParsed:
		if x.unnamed {
			was := x.before
			if was == nil {
				was = &c.before
			}
			if own { // PostgreSQL has forgotten the one before, too
				was.forget()
			}
			l.unnamedWas(s, was, own || x.mine)
			return
		}
		if x.due == forParse && !s.due.prepares(x.st) {
			l.forget(s, x.st)
		}
		names := []map[string]*statement{c.names, c.batch.command.names}
		if does := s.due.command(); does != nil {
			names = append(names, does.names)
		}
		for _, names := range names {
			if x.st != nil && names[x.name] == x.st {
				delete(names, x.name)
				l.unname(x.st)
			}
		}
	case forOurs:
		switch {
		case x.unnamed:
			if next := s.due.redefines(); next != nil {
				next.mine = false
			} else {
				c.unnamed = false
			}
		case x.closes:
			l.spare(s, x.st, x.epoch)
		case x.st != nil && !s.due.prepares(x.st):
			l.forget(s, x.st)
		}
	case forClose:
		if x.before != nil {
			l.unnamedWas(s, x.before, x.mine)
		}
		if _, taken := c.names[x.name]; x.st != nil && !taken {
			if c.names == nil {
				c.names = map[string]*statement{}
			}
			c.names[x.name] = x.st
			l.use(x.st)
			l.statements[x.st.key] = x.st
		}
	}
}

// unnamedWas undoes what has been noted of the unnamed statement of s's client: it is
// was, and mine says whether s has it so. If a message behind those that are void has
// changed it again, that is what the change takes the place of.
func (l *loop) unnamedWas(s *server, was *unnamedStatement, mine bool) {
	c := s.client
	if next := s.due.redefines(); next != nil {
		next.before, next.mine = was.clone(), mine
		return
	}
	if was == &c.before {
		c.last, c.before = c.before, c.last
	} else {
		c.last = *was
	}
	c.parsing, c.unnamed = false, mine
}

// unnameAll forgets the names of a client.
func (l *loop) unnameAll(c *client) {
	for _, st := range c.names {
		l.unname(st)
	}
	c.names = nil
}

// unname is one client's name less for st.
func (l *loop) unname(st *statement) {
	if st != unseen {
		l.disuse(st)
	}
}

// instead has insert sent in the place of the message under way.
func (l *loop) instead(insert []byte) { l.insert, l.replaced = insert, true }

// rename has msg sent with another name at its place; msg may be only the
// beginning of total bytes.
func (l *loop) rename(msg []byte, at int, old []byte, name string, total int) {
	out := append(l.insert, msg[0])
	out = binary.BigEndian.AppendUint32(out, uint32(total-1-len(old)+len(name)))
	out = append(out, msg[wire.HeaderLen:at]...)
	out = append(out, name...)
	l.instead(append(out, msg[at+len(old):]...))
}

func appendParse(b []byte, name string, body []byte) []byte {
	b, at := wire.Begin(b, wire.Parse)
	return wire.End(append(wire.String(b, name), body...), at)
}

// appendBind binds a statement without parameters to the portal without a name.
func appendBind(b []byte, name string) []byte {
	b, at := wire.Begin(b, wire.Bind)
	return wire.End(append(wire.String(wire.String(b, ""), name), 0, 0, 0, 0, 0, 0), at)
}

func appendClose(b []byte, name string) []byte {
	b, at := wire.Begin(b, wire.Close)
	return wire.End(wire.String(append(b, 'S'), name), at)
}
