package relay

import (
	"fmt"
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// pins is the set of reasons for which a server stays with its client outside a
// transaction: state that lives in one session.
type pins uint16

const (
	pinPrepared pins = 1 << iota
	pinListen
	pinCursor
	pinTemp
	pinRole
	pinLock
	pinSetting // custom, of a name that nobody but the client knows
	pinLong    // a statement of the protocol that was too long to be remembered
	pinSeed
	pinLoad
	pinOpen
	pinUnknown // the question what there is has failed

	// pinAudited are those that an audit finds, and finds gone.
	pinAudited = pinPrepared | pinListen | pinCursor | pinTemp | pinRole
	// pinTaints end the server with its client: DISCARD ALL does not undo them.
	pinTaints = pinLoad | pinOpen | pinUnknown
)

// pinNames are what people see, in the order of the bits; an audit answers with
// the first six.
var pinNames = [...]string{
	"prepared statement", "listen", "cursor with hold", "temporary object", "role", "advisory lock",
	"custom setting", "long statement", "setseed", "load", "dblink or replication slot", "unknown state",
}

// names are the reasons in words.
func (p pins) names() (all []string) {
	for i, name := range pinNames {
		if p&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return all
}

// pinNamed is the reason of that name.
func pinNamed(name string) pins {
	for i, n := range pinNames {
		if n == name {
			return 1 << i
		}
	}
	return pinUnknown
}

// tainted are the pins that a class brings by itself.
func tainted(c wire.Class) (p pins) {
	if c&wire.Seeds != 0 {
		p |= pinSeed
	}
	if c&wire.Loads != 0 {
		p |= pinLoad
	}
	if c&wire.Opens != 0 {
		p |= pinOpen
	}
	if c&wire.Blind != 0 {
		p |= pinSetting
	}
	return p
}

// pin makes p the reasons for which c keeps its server.
func (l *loop) pin(c *client, p pins) {
	pool := c.pool
	switch {
	case c.pins == 0 && p != 0:
		pool.pinned++
		c.pinned = l.clock
		c.crowds = pool.pinned > pool.Target().Pinnable()
		pool.count.pinned++
	case c.pins != 0 && p == 0:
		pool.pinned--
		c.crowds = false
	}
	c.pins = p
}

// pinnedBy tells who keeps p's servers, and why.
func (l *loop) pinnedBy(p *Pool) string {
	const most = 3
	var who []string
	n := 0
	for _, c := range l.clientList() {
		if c.pool != p || c.pins == 0 {
			continue
		}
		if n++; n <= most {
			who = append(who, fmt.Sprintf("connection %d of %s for %s", c.id, c.name, strings.Join(c.pins.names(), " and ")))
		}
	}
	if n > most {
		who = append(who, fmt.Sprintf("%d more", n-most))
	}
	return strings.Join(who, ", ")
}
