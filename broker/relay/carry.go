package relay

import (
	"slices"

	"github.com/nusajournal/dermaga/broker/wire"
)

// effect is what a text does to its session when it runs.
type effect struct {
	class wire.Class
	sets  []string // settings that no server reports; "" stands for all that were set
}

// effectOf reads a text. What cannot be read whole is taken to leave state behind.
func (l *loop) effectOf(c *client, text []byte, whole bool) effect {
	if !whole {
		return effect{class: wire.Sticks | wire.Deallocates | wire.Defines}
	}
	std, _ := c.told.get("standard_conforming_strings")
	e := effect{class: wire.Classify(text, std == "off") | c.pool.routines.does(text)}
	if e.class&(wire.Sets|wire.Resets) != 0 {
		wire.SetNames(text, func(name string) { e.sets = append(e.sets, name) })
	}
	return e
}

// effect notes that e is about to happen.
func (l *loop) effect(c *client, s *server, e effect) {
	if e.class == 0 {
		return
	}
	if e.class&wire.Sequences != 0 && c.fresh {
		c.wantClean = true
	}
	if e.class&wire.Sticks != 0 {
		c.pins |= pinState
	}
	if e.class&wire.Taints != 0 {
		c.pins |= pinTaint
	}
	if e.class&wire.Deallocates != 0 {
		s.unsure = true
	}
	if e.class&wire.Defines != 0 { // now for c itself, and for all when it has committed
		c.pool.tenant.edition++
		s.defined = true
	}
	if c.mode == Session {
		return
	}
	for _, name := range e.sets {
		if name != "" {
			l.touch(c, name)
			continue
		}
		c.resetAll = true
		for _, p := range c.extra.list {
			l.touch(c, p.Name)
		}
	}
}

// touch notes a setting whose value the server must be asked for.
func (l *loop) touch(c *client, name string) {
	if !slices.Contains(c.touched, name) {
		c.touched = append(c.touched, name)
	}
}

// ask has s say the values of the settings that its client has touched, now that
// the transaction has ended: committed values, in the server's own spelling. The
// client does not notice, and may go on sending.
func (l *loop) ask(s *server) {
	c := s.client
	c.unnamed = false // the question uses the unnamed statement
	s.answers = s.answers[:0]
	s.due.push(forAsk)
	l.write(&s.conn, wire.AppendCurrentSettings(nil, c.touched))
}

// heard reads the answer to ask.
func (s *server) heard(row []byte) {
	if values, ok := columns(row); ok { // NULL: a custom setting that a rollback has undone
		s.answers = values
	}
}

// carry makes what ask has found out the client's own: it will be replayed on
// every server that the client gets. A question without its answers keeps the
// server instead.
func (l *loop) carry(s *server) {
	c := s.client
	if len(s.answers) != len(c.touched) {
		c.pins |= pinState
		c.touched = nil
		return
	}
	list, asked := slices.Clone(c.extra.list), slices.Clone(c.extra.list)
	for i, name := range c.touched {
		same := func(p Param) bool { return p.Name == name }
		list, asked = slices.DeleteFunc(list, same), slices.DeleteFunc(asked, same)
		v := s.answers[i]
		if v == nil {
			continue
		}
		asked = append(asked, Param{name, *v})
		// RESET goes back to the startup packet's value, which this server was not
		// started with.
		before, _ := c.extra.get(name)
		if first, ok := c.begin.extra.get(name); ok && c.resetAll && *v != before {
			v = &first
		}
		list = append(list, Param{name, *v})
	}
	c.touched, c.resetAll = nil, false
	c.extra, s.extra = l.sets.of(list), l.sets.of(asked)
}
