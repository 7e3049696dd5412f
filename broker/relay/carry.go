package relay

import (
	"bytes"
	"slices"
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// effect is what a text does to its session when it runs.
type effect struct {
	class   wire.Class
	sets    []string     // settings that no server reports; "" stands for all that were set
	command wire.Command // … of all of the session
	guesses bool         // it deallocates a name that is the broker's own
}

// and is the effect of both.
func (e effect) and(o effect) effect {
	e.class |= o.class
	for _, name := range o.sets {
		if !slices.Contains(e.sets, name) {
			e.sets = append(slices.Clip(e.sets), name)
		}
	}
	return e
}

// effectOf reads a text. What cannot be read, or not be understood yet, is taken
// to leave anything behind.
func (l *loop) effectOf(c *client, text []byte, whole bool) effect {
	if !whole {
		return effect{class: wire.Unknown | wire.Defines}
	}
	backslash := c.backslash()
	e := effect{class: wire.Classify(text, backslash)}
	if e.class&(wire.Sets|wire.Resets) != 0 {
		wire.SetNames(text, backslash, func(name string) { e.sets = append(e.sets, name) })
	}
	if e.class&(wire.Deallocates|wire.Resets) != 0 {
		e.command, _ = wire.Commands(text, backslash, func(name string) (string, bool) {
			e.guesses = e.guesses || strings.HasPrefix(name, prefix)
			return "", false
		})
	}
	if c.quotes && bytes.IndexByte(text, '\\') >= 0 {
		e.class |= wire.Unknown
	}
	p := c.pool
	var made effect
	if p.stale {
		made = p.tenant.made
	}
	if c.made != nil {
		made = made.and(*c.made)
	}
	if bytes.IndexByte(text, '(') < 0 { // it calls nothing, except behind its back, as in judge
		made.class &^= wire.Blind
	}
	e = e.and(made)
	if p.routines.any() {
		e = e.and(p.routines.does(text, backslash))
	}
	return e
}

// backslash reports whether one escapes in c's plain strings.
func (c *client) backslash() bool {
	standard, _ := c.told.get("standard_conforming_strings")
	return standard == "off"
}

// effect notes that e is about to happen.
func (l *loop) effect(c *client, s *server, e effect) {
	if e.class == 0 {
		return
	}
	if e.class&wire.Executes != 0 && c.prepared != nil {
		e = e.and(*c.prepared)
	}
	if e.class&(wire.Prepares|wire.Hides) != 0 { // EXECUTE may do it again
		all := e
		if c.prepared != nil {
			all = c.prepared.and(e)
		}
		c.prepared = &all
	}
	if e.class&wire.Deallocates != 0 && (e.command != wire.Deallocate || e.guesses) {
		s.unsure = true
	}
	if e.class&wire.Defines != 0 { // now for c itself, and for all when it has committed
		c.pool.tenant.edition++
		made := e
		if c.made != nil {
			made = e.and(*c.made)
		}
		made.class &^= wire.Defines | wire.Begins
		c.made = &made
	}
	c.suspect |= e.class
	c.quotes = c.quotes || e.class&wire.Quotes != 0
	c.resets = c.resets || e.class&wire.Resets != 0
	for _, name := range e.sets {
		if _, first := c.begin.extra.get(name); c.mode == Session && !first && name != "" {
			continue // only what RESET would have to give back
		}
		if name != "" {
			l.touch(c, name)
			continue
		}
		for _, p := range c.extra.list {
			l.touch(c, p.Name)
		}
		if s.auditing { // its answer may bring more
			c.suspect |= wire.Hides
			for _, name := range s.question.names {
				l.touch(c, name)
			}
		}
	}
}

// touch notes a setting whose value the server must be asked for.
func (l *loop) touch(c *client, name string) {
	if reports(c.told, name) {
		return
	}
	if !slices.Contains(c.touched, name) {
		c.touched = append(c.touched, name)
	}
}

// reports reports whether a setting, named as people may write it, is among those
// that a server reports.
func reports(told *params, name string) bool {
	return slices.ContainsFunc(told.list, func(p Param) bool { return strings.EqualFold(p.Name, name) })
}

// restarts reports whether c may have reset an unreported setting of its startup
// packet: then it must get it back before it goes on.
func (c *client) restarts() bool {
	return slices.ContainsFunc(c.touched, func(name string) bool { _, first := c.begin.extra.get(name); return first })
}

// restart gives c back what its startup packet set of the reported parameters, if
// a RESET has just taken that away: servers are started without it.
func (l *loop) restart(c *client, s *server) {
	if !c.resets {
		return
	}
	c.resets = false
	for _, first := range c.begin.own.list {
		now, _ := s.reported.get(first.Name)
		if base, _ := s.base.get(first.Name); now != base || now == first.Value {
			continue
		}
		c.own = l.sets.with(c.own, first.Name, first.Value)
		c.told = l.sets.with(c.told, first.Name, first.Value)
		s.behind = wire.AppendParameterStatus(s.behind, first.Name, first.Value)
		c.fresh, c.unnamed = true, false // s is told before c's next message
	}
}
