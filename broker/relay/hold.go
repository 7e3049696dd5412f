package relay

import (
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

// gate says what a tenant's clients may begin. Owned by the loop.
type gate struct {
	held   hold    // transactions that have not begun wait
	paused hold    // likewise, and no time-out ends them
	ending *ending // sessions end with their running transaction; nil: they do not
}

func (g *gate) closed() bool { return g.held.on || g.paused.on }

// idle reports whether nothing is asked of g.
func (g *gate) idle() bool { return !g.closed() && g.ending == nil }

// waits reports whether somebody waits for quiet.
func (g *gate) waits() bool { return len(g.held.quiet)+len(g.paused.quiet) > 0 }

// hold is one reason for which no transaction begins.
type hold struct {
	on    bool
	quiet []func() // called when none runs any more
}

// told calls those who wait for quiet.
func (h *hold) told() {
	for _, f := range h.quiet {
		f()
	}
	h.quiet = nil
}

// ending is how the clients of a tenant are made to go.
type ending struct {
	why   wire.Fields
	until time.Time // then those who are left are cut off
	once  bool      // only those who are there now; who comes later is served
	gone  []func()  // called when the last has gone
}

// Hold lets the tenant's running transactions finish and makes new ones wait,
// each for at most Config.HoldWait, until Resume. quiet is called once, from the
// loop, when none is running. It must not block.
func (r *Relay) Hold(tenant string, quiet func()) {
	r.shut(tenant, quiet, func(g *gate) *hold { return &g.held })
}

// Pause is Hold without a limit to the wait, until Unpause. The two do not know of
// each other: what either keeps is kept.
func (r *Relay) Pause(tenant string, quiet func()) {
	r.shut(tenant, quiet, func(g *gate) *hold { return &g.paused })
}

// shut makes one of the two.
func (r *Relay) shut(tenant string, quiet func(), which func(*gate) *hold) {
	t := r.tenant(&Target{Tenant: tenant})
	if !t.loop.box.post(func(l *loop) {
		h := which(&t.gate)
		h.on, h.quiet = true, append(h.quiet, quiet)
		l.gates[t] = struct{}{}
		l.soon()
	}) {
		quiet()
	}
}

// Unpause undoes Pause.
func (r *Relay) Unpause(tenant string) {
	t := r.tenant(&Target{Tenant: tenant})
	t.loop.box.post(func(l *loop) {
		if !t.gate.paused.on {
			return
		}
		t.gate.paused.told()
		t.gate.paused = hold{}
		if t.gate.idle() {
			delete(l.gates, t)
		}
		l.reopen(t)
	})
}

// Resume undoes Hold and End.
func (r *Relay) Resume(tenant string) {
	t := r.tenant(&Target{Tenant: tenant})
	t.loop.box.post(func(l *loop) { l.resume(t) })
}

// End ends the tenant's sessions with why: those without a transaction at once,
// the others when it ends, or after grace. Whoever is added later is refused
// until Resume; with once, only those who are there now are meant. gone is
// called once, from the loop, when they have gone. It must not block.
func (r *Relay) End(tenant string, why wire.Fields, grace time.Duration, once bool, gone func()) {
	t := r.tenant(&Target{Tenant: tenant})
	if !t.loop.box.post(func(l *loop) { l.endAll(t, why, grace, once, gone) }) {
		gone()
	}
}

// EndLogin is End, once, for the clients of one login, whatever their tenants.
func (r *Relay) EndLogin(login string, why wire.Fields, grace time.Duration, gone func()) {
	left := int64(len(r.loops))
	done := func() {
		if atomic.AddInt64(&left, -1) == 0 {
			gone()
		}
	}
	for _, l := range r.loops {
		if !l.box.post(func(l *loop) { l.endLogin(login, why, l.clock.Add(grace), done) }) {
			done()
		}
	}
}

func (l *loop) endLogin(login string, why wire.Fields, until time.Time, done func()) {
	left := 0
	for _, c := range l.clientList() {
		if c.login != login {
			continue
		}
		c.doomed, c.why = true, &why
		if c.server == nil || c.between() || !l.clock.Before(until) {
			l.fatal(c, why)
			continue
		}
		left++
	}
	if left == 0 || l.stopped {
		done()
		return
	}
	l.later = append(l.later, func(l *loop) { l.endLogin(login, why, until, done) })
	l.soon()
}

func (l *loop) endAll(t *Tenant, why wire.Fields, grace time.Duration, once bool, gone func()) {
	e := &ending{why: why, until: l.clock.Add(grace), once: once, gone: []func(){gone}}
	if before := t.gate.ending; before != nil {
		e.gone = append(before.gone, gone)
		e.once = before.once && once
	}
	t.gate.ending = e
	l.gates[t] = struct{}{}
	for _, c := range l.clientList() {
		if c.pool.tenant != t {
			continue
		}
		c.doomed, c.why = true, &e.why
		if c.server == nil || c.between() {
			l.fatal(c, why)
		}
	}
	l.soon()
}

func (l *loop) resume(t *Tenant) {
	l.defined(t, effect{class: wire.Hides}) // whatever happened meanwhile
	wasHeld, paused := t.gate.held.on, t.gate.paused
	t.gate.held.told()
	if e := t.gate.ending; e != nil {
		for _, f := range e.gone {
			f()
		}
	}
	t.gate = gate{paused: paused}
	if !paused.on {
		delete(l.gates, t)
	}
	if wasHeld {
		l.reopen(t)
	}
}

// reopen lets those whom the gate has kept go on, if it is open now.
func (l *loop) reopen(t *Tenant) {
	if t.gate.closed() {
		return
	}
	for _, c := range l.clientList() {
		if c.pool.tenant == t {
			l.again(&c.conn)
		}
	}
	t.each(l.pump)
}

// between reports whether c has a server and no transaction on it.
func (c *client) between() bool {
	s := c.server
	return s != nil && s.status == wire.Idle && s.due.none() && !c.batch.open && c.remain == 0 && !s.copyIn
}

// watchGates looks whether what a gate waits for has come.
func (l *loop) watchGates() {
	for t := range l.gates {
		if t.gate.waits() && !l.running(t) {
			t.gate.held.told()
			t.gate.paused.told()
		}
		if t.gate.ending != nil {
			l.watchEnding(t)
		}
	}
}

// watchEnding cuts off who is left after the grace, and tells when nobody is.
func (l *loop) watchEnding(t *Tenant) {
	e := t.gate.ending
	left := 0
	for _, c := range l.clientList() {
		switch {
		case c.pool.tenant != t || !c.doomed:
		case l.clock.Before(e.until):
			left++
		default:
			l.fatal(c, e.why)
		}
	}
	if left > 0 {
		return
	}
	for _, f := range e.gone {
		f()
	}
	e.gone = nil
	if e.once {
		t.gate.ending = nil
		if t.gate.idle() {
			delete(l.gates, t)
		}
	} else if t.state == opened && !t.busy() {
		l.close(t)
	}
}

// running reports whether a transaction of t is running.
func (l *loop) running(t *Tenant) bool {
	for i := range l.slots {
		c := l.slots[i].conn
		if c == nil || c.asServer == nil || c.asServer.pool.tenant != t {
			continue
		}
		if s := c.asServer; s.client != nil && !s.client.between() {
			return true
		}
	}
	return false
}
