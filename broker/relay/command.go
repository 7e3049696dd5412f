package relay

import "github.com/nusajournal/dermaga/broker/wire"

// command is DISCARD ALL and its kin, on its way. What the client had until then is
// set aside: messages behind it in the pipeline must not find it, and it comes back
// if the command fails.
type command struct {
	what  wire.Command
	names map[string]*statement
}

// command notes that c runs e, as a part of does.
func (l *loop) command(c *client, does *command, e effect) {
	if e.command == 0 {
		return
	}
	does.what |= e.command
	if e.command&(wire.DeallocateAll|wire.DiscardAll) == 0 || len(c.names) == 0 {
		return
	}
	if does.names == nil {
		does.names, c.names = c.names, nil
		return
	}
	for name, st := range c.names {
		if _, there := does.names[name]; there {
			l.unname(st)
			continue
		}
		does.names[name] = st
	}
	c.names = nil
}

// undo gives back what a command that has failed had set aside.
func (l *loop) undo(c *client, does *command) {
	if does == nil {
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
	*does = command{}
}

// ran is a command that has succeeded.
func (l *loop) ran(c *client, s *server, does command) {
	if does.what == 0 {
		return
	}
	l.abandon(&does)
	if does.what&(wire.DeallocateAll|wire.DiscardAll) != 0 {
		l.pin(c, c.pins&^pinLong)
	}
	if does.what&wire.ResetAll != 0 && s.status == wire.Idle {
		l.pin(c, c.pins&^pinSetting)
	}
	if does.what&wire.DiscardAll == 0 {
		return
	}
	l.pin(c, c.pins&(pinTaints|pinSeed))
	if s.due.none() { // or what came behind it has left something
		c.suspect, c.touched = c.suspect&(wire.Taints|wire.Seeds|wire.Resets), nil
	}
	c.prepared = nil
	s.extra, c.extra = l.sets.none, c.begin.extra
	if s.extra != c.extra {
		c.fresh, c.unnamed = true, false // it is told again before its next message
	}
}

// abandon forgets the names that a command had set aside.
func (l *loop) abandon(does *command) {
	for _, st := range does.names {
		l.unname(st)
	}
	does.names = nil
}
