package relay

import (
	"fmt"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A text that its client may not run is not sent. In its place goes one that is
// certain to fail, so that PostgreSQL answers at the right place of the pipeline
// and fails the transaction as for any error; only the error's words are ours.

// denied says what is wrong with a text that does e, if anything is: it would
// leave state where the pool mode keeps none, leave a transaction block open where
// there are none, or read a sequence's value that may be another client's.
func (l *loop) denied(c *client, s *server, e effect) *refusal {
	switch {
	case c.mode == Statement && e.class&wire.Begins != 0:
		return failing(l.explain(c, BlockRefused, ""))
	case c.pool.Target().Refuse && (c.mode == Transaction || c.mode == Statement) && e.class&(wire.Sticks|wire.Taints)&^wire.Hides != 0:
		return failing(l.explain(c, StateRefused, (e.class &^ wire.Hides).Kind()))
	case e.class&wire.Sequences != 0 && c.mode != Session:
		c.pool.sequences = true
		switch {
		case s.foreign:
			return failing(l.explain(c, ForeignSequence, ""))
		case c.fresh:
			c.wantClean = true
		}
	}
	return nil
}

// failing is f in the place of a syntax error.
func failing(f wire.Fields) *refusal {
	f.Severity = "ERROR" // the connection lives
	return &refusal{Fields: f, code: "42601", about: nothing}
}

// refuseParse has a Parse fail with f.
func (l *loop) refuseParse(c *client, s *server, name []byte, f *refusal) {
	at := nothing
	if len(name) == 0 {
		at = "" // PostgreSQL forgets the one before
		c.unnamed = true
		c.last.forget()
	}
	s.due.push(owed{due: forError, instead: f})
	l.instead(appendParse(l.insert, at, []byte(nothing+"\x00\x00\x00")))
}

// refuseBind has a Bind of a statement that does e fail, if it is denied now: its
// Parse was not.
func (l *loop) refuseBind(c *client, s *server, msg []byte, at int, name []byte, e effect, total int) bool {
	f := l.denied(c, s, e)
	if f == nil {
		return false
	}
	f.code = "26000"
	s.due.push(owed{due: forError, instead: f})
	l.rename(msg, at, name, nothing, total)
	return true
}

// parseTwice has a Parse of a name that is taken fail. PostgreSQL looks at the name
// last, so the text goes to it under a name that is taken too, or will be, with
// something behind it that fails.
func (l *loop) parseTwice(s *server, name string, body []byte) {
	const taken = prefix + "taken"
	said := wire.Fields{Severity: "ERROR", Code: "42P05", Message: fmt.Sprintf("prepared statement %q already exists", name)}
	s.due.push(owed{due: forOurs, instead: &refusal{Fields: said, code: "42P05", about: taken}})
	s.due.push(owed{due: forError, instead: &refusal{Fields: said, code: "26000", about: nothing}})
	l.instead(appendBind(appendParse(l.insert, taken, body), nothing))
}

// missing is PostgreSQL's answer to a name that it does not know as as.
func missing(name, as string) *refusal {
	return &refusal{
		Fields: wire.Fields{Severity: "ERROR", Code: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)},
		code:   "26000", about: as,
	}
}
