package relay

import "github.com/nusajournal/dermaga/broker/wire"

// command is DISCARD ALL and its kin, on its way. What the client had until then is
// set aside: messages behind it in the pipeline must not find it, and it comes back
// if the command fails.
type command struct {
	what    wire.Command
	names   map[string]*statement
	left    int // DEALLOCATEs of them that have not succeeded yet
	suspect wire.Class
	touched []string
}

// command notes that c runs e, as a part of does.
func (l *loop) command(c *client, does *command, e effect) {
	if e.command == 0 {
		return
	}
	c.server.commands = true
	does.what |= e.command
	if e.command&wire.DiscardAll != 0 {
		kept := wire.Taints | wire.Seeds
		does.suspect |= c.suspect &^ kept
		does.touched = append(does.touched, c.touched...)
		c.suspect, c.touched = c.suspect&kept, nil
	}
	if e.command&(wire.DeallocateAll|wire.DiscardAll) == 0 || len(c.names) == 0 {
		return
	}
	before := does.names
	does.names, c.names = c.names, nil
	for name, st := range before {
		if _, again := does.names[name]; again {
			l.unname(st)
			continue
		}
		does.names[name] = st
	}
}

// undo gives back what a command that has failed had set aside.
func (l *loop) undo(c *client, does *command) {
	if does == nil || does.what == 0 {
		return
	}
	for name, st := range does.names {
		if c.names == nil {
			c.names = map[string]*statement{}
		}
		if _, taken := c.names[name]; taken {
			l.unname(st)
			continue
		}
		c.names[name] = st
	}
	if does.left > 0 {
		c.server.unsure = true
	}
	c.suspect |= does.suspect
	for _, name := range does.touched {
		l.touch(c, name)
	}
	*does = command{}
}

// completed is a CommandComplete while commands are on their way. DEALLOCATE and
// DISCARD ALL count from then on, whatever becomes of their transaction.
func (l *loop) completed(c *client, s *server, tag []byte) {
	does := s.due.command()
	if does == nil {
		does = &c.batch.command
	}
	tag, _, _ = wire.Cut(tag)
	switch {
	case c.mode == Session && string(tag) == "DISCARD ALL":
		l.ran(c, s, does, wire.DiscardAll)
	case string(tag) == "DEALLOCATE" && does.left > 0:
		if does.left--; does.left == 0 {
			does.what &^= wire.Deallocate
			if does.what&(wire.DeallocateAll|wire.DiscardAll) == 0 {
				l.abandon(does)
			}
		}
	case string(tag) == "DEALLOCATE ALL" && does.what&wire.DeallocateAll != 0:
		l.ran(c, s, does, wire.DeallocateAll)
	case string(tag) == "DISCARD ALL" && does.what&wire.DiscardAll != 0:
		l.ran(c, s, does, wire.DiscardAll)
	}
}

// ran is a command, of those that does names, that has succeeded.
func (l *loop) ran(c *client, s *server, does *command, what wire.Command) {
	does.what &^= what
	if what == wire.ResetAll {
		if s.status == wire.Idle {
			l.pin(c, c.pins&^pinSetting)
		}
		return
	}
	l.abandon(does)
	l.pin(c, c.pins&^pinLong)
	if what != wire.DiscardAll {
		return
	}
	does.suspect, does.touched = 0, nil
	l.pin(c, c.pins&(pinTaints|pinSeed))
	c.prepared, c.resets = nil, true
	s.extra, c.extra = l.sets.none, c.begin.extra
	if s.extra != c.extra {
		c.fresh, c.unnamed = true, false // s is told again before c's next message
	}
}

// abandon forgets the names that a command had set aside.
func (l *loop) abandon(does *command) {
	for _, st := range does.names {
		l.unname(st)
	}
	does.names = nil
}
