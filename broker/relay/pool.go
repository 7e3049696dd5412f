package relay

import (
	"errors"
	"sync/atomic"
	"time"
)

// Tenant is what a place among the open tenants is given to. Its pools belong to
// one loop; the exported methods are safe for concurrent use.
type Tenant struct {
	ID, Slug string

	loop     *loop
	lastUsed atomic.Int64 // nanoseconds since 1970
	// Below: owned by the loop.
	state   placement
	leaveBy time.Time // until then it makes room for others; zero: it does not
	gate    gate
	renewed time.Time // servers from before it are not used again
	// edition counts the changes of its databases' objects that were seen. A Parse
	// after one is not answered from what was prepared before it.
	edition uint64
	defined uint64 // of them, those that have committed
	made    effect // … of the code that they made, until it has been looked at
	pools   map[string]*Pool
}

// placement is where a tenant stands with Places.
type placement uint8

const (
	closed placement = iota // no servers
	asking                  // waits for a place
	opened                  // may have servers
)

// LastUsed is when a server was last given to or taken from one of its clients.
func (t *Tenant) LastUsed() time.Time { return time.Unix(0, t.lastUsed.Load()) }

// Granted tells the tenant that it has a place.
func (t *Tenant) Granted() { t.loop.box.post(func(l *loop) { l.granted(t) }) }

// Evict closes the tenant's servers and gives its place back, unless one of them
// is in use or wanted. answered is told which, from the loop.
func (t *Tenant) Evict(answered func(gone bool)) {
	if !t.loop.box.post(func(l *loop) {
		if t.busy() || t.state != opened {
			t.each(func(p *Pool) { l.reclaimAll(p) })
			answered(false)
			return
		}
		t.each(func(p *Pool) { p.count.evictedIdle++ })
		l.close(t)
		answered(true)
	}) {
		answered(false)
	}
}

// busy reports whether a server of t is in use, wanted or on its way.
func (t *Tenant) busy() (yes bool) {
	t.each(func(p *Pool) {
		yes = yes || p.waiting.n > 0 || len(p.greet) > 0 || p.dialing > 0 || len(p.idle) < p.servers
	})
	return yes
}

func (t *Tenant) each(f func(*Pool)) {
	for _, p := range t.pools {
		f(p)
	}
}

// granted opens t for those who wait.
func (l *loop) granted(t *Tenant) {
	if t.state != asking {
		l.cfg.Limits.Give(t)
		return
	}
	t.state = opened
	t.lastUsed.Store(l.clock.UnixNano())
	t.each(l.grow)
}

// close gives t's place back; its servers must be idle.
func (l *loop) close(t *Tenant) {
	t.each(func(p *Pool) {
		for len(p.idle) > 0 {
			l.closeServer(p.idle[len(p.idle)-1])
		}
	})
	t.state = closed
	t.leaveBy = time.Time{}
	delete(l.open, t)
	l.cfg.Limits.Give(t)
}

// leaveSoon closes t for the sake of others, server by server as its transactions
// end, and lets its clients wait for another place. If that takes longer than
// leaveWithin, t stays.
func (l *loop) leaveSoon(t *Tenant) {
	t.leaveBy = l.clock.Add(leaveWithin)
	t.each(func(p *Pool) {
		p.count.evictedTurn++
		for len(p.idle) > 0 {
			l.closeServer(p.idle[len(p.idle)-1])
		}
		l.reclaimAll(p)
	})
	l.leftYet(t)
}

// leaveWithin is for how long a tenant that gives way starts no transaction.
const leaveWithin = time.Second

func (t *Tenant) leaving() bool { return !t.leaveBy.IsZero() }

// leftYet gives the place back when the last server has gone.
func (l *loop) leftYet(t *Tenant) {
	busy := false
	t.each(func(p *Pool) { busy = busy || p.servers > 0 || p.dialing > 0 })
	if t.state != opened || busy {
		return
	}
	l.close(t)
	t.each(l.grow)
}

// stay ends leaving: a transaction, or a session, took too long.
func (l *loop) stay(t *Tenant) {
	t.leaveBy = time.Time{}
	l.cfg.Limits.Stays(t)
	t.each(l.pump)
}

// pump lets those who wait go on, after something has kept them.
func (l *loop) pump(p *Pool) {
	for p.waiting.n > 0 && len(p.idle) > 0 {
		s := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		l.offer(s)
	}
	l.grow(p)
}

// A pool holds the servers of one target: those that wait for a client, and the
// clients that wait for one. Owned by its loop.
type Pool struct {
	tenant  *Tenant
	target  atomic.Pointer[Target]
	idle    []*server // most recently used last: warm sockets and plans first
	waiting queue     // clients without a server, oldest first
	servers int       // logged in
	asked   int       // of Limits, without an answer yet
	dialing int
	clients int
	greet   []chan<- greeted // who waits to know what a server greets with

	lent     []*server // that clients keep until somebody needs them, in that order
	auditing int       // servers that are being asked what is left in them
	pinned   int       // clients that keep a server

	routines  *routines // of its database, as they were last seen
	stale     bool      // … and they may have changed since
	scanning  bool      // … and are being asked for
	sequences bool      // its clients read lastval or currval

	failed  error     // of the last dial; nil after one that worked
	passes  bool      // … and may not come again
	retryAt time.Time // no dial before

	count counts
}

// pool finds or makes the pool for t's key.
func (l *loop) pool(tenant *Tenant, t *Target) *Pool {
	p, ok := tenant.pools[t.Key]
	if !ok {
		p = &Pool{tenant: tenant}
		tenant.pools[t.Key] = p
	}
	l.aim(p, t)
	return p
}

// aim gives p its newest target. If that allows fewer servers, the idle ones go at
// once and the others when they are released.
func (l *loop) aim(p *Pool, t *Target) {
	p.target.Store(t)
	for p.servers > t.PoolSize && len(p.idle) > 0 {
		l.closeServer(p.idle[0])
	}
}

// Retarget gives t's pool, if there is one, new limits and a new way to open
// servers, as the next client of t would.
func (r *Relay) Retarget(t *Target) {
	r.mu.Lock()
	tenant := r.tenants[t.Tenant]
	r.mu.Unlock()
	if tenant == nil {
		return
	}
	tenant.loop.box.post(func(l *loop) {
		if p := tenant.pools[t.Key]; p != nil {
			l.aim(p, t)
			l.soon() // more servers may be allowed now
		}
	})
}

// grow opens as many servers as are wanted and allowed. The first one waits for
// the tenant's place.
func (l *loop) grow(p *Pool) {
	want := p.waiting.n - p.auditing
	if len(p.greet) > 0 {
		want = max(want, 1)
	}
	t := p.tenant
	if t.state == opened {
		want = max(want, p.Target().MinPoolSize-p.servers)
	}
	if want <= 0 || t.gate.closed() || t.leaving() || l.draining {
		return
	}
	switch t.state {
	case closed:
		t.state = asking
		l.open[t] = struct{}{}
		l.soon()
		l.cfg.Limits.Take(t)
	case opened:
		for p.asked+p.dialing < want && p.servers+p.asked+p.dialing < p.Target().PoolSize && !l.clock.Before(p.retryAt) {
			p.asked++
			l.soon()
			l.cfg.Limits.Open(p)
		}
	}
}

// Target is that of the pool's last client. Safe for concurrent use.
func (p *Pool) Target() *Target { return p.target.Load() }

// Tenant is whose pool it is.
func (p *Pool) Tenant() *Tenant { return p.tenant }

// Granted tells the pool that it may have one more server.
func (p *Pool) Granted() {
	if !p.tenant.loop.box.post(func(l *loop) { l.mayDial(p) }) {
		p.tenant.loop.cfg.Limits.Close(p)
	}
}

func (l *loop) mayDial(p *Pool) {
	p.asked--
	wanted := p.waiting.n > p.dialing || len(p.greet) > 0 || p.servers+p.dialing < p.Target().MinPoolSize
	if l.stopped || p.tenant.state != opened || p.tenant.leaving() || !wanted {
		l.cfg.Limits.Close(p)
		return
	}
	p.dialing++
	go l.dial(p, p.Target())
}

// Shed closes one of the pool's servers, for the sake of others, if one has been
// idle for so long and need not be kept. answered is told, from the loop.
func (p *Pool) Shed(idle time.Duration, answered func(closed bool)) {
	if !p.tenant.loop.box.post(func(l *loop) {
		can := len(p.idle) > 0 && p.servers > p.Target().MinPoolSize && l.clock.Sub(p.idle[0].idleSince) >= idle
		switch {
		case can:
			l.closeServer(p.idle[0])
		case len(p.idle) == 0:
			l.reclaim(p, l.clock.Add(-idle))
		}
		answered(can)
	}) {
		answered(false)
	}
}

// dial runs in a goroutine of its own and posts what came of it.
func (l *loop) dial(p *Pool, t *Target) {
	began := time.Now()
	s, err := t.Dial(l.relay.ctx)
	var sock socket
	var rs *routines
	if err == nil {
		if rs, err = scan(l.relay.ctx, s.Conn); err != nil {
			_ = s.Conn.Close()
		}
	}
	if err == nil {
		sock, err = adopt(s.Conn)
	}
	if err == nil {
		l.relay.remember(t, s.Params)
	}
	if !l.box.post(func(l *loop) { l.dialled(p, t, s, sock, rs, time.Since(began), err) }) && err == nil {
		sock.shut()
	}
}

// dialled takes a new server, or tells those who waited only for it why there is
// none.
func (l *loop) dialled(p *Pool, t *Target, in *Server, sock socket, rs *routines, took time.Duration, err error) {
	p.dialing--
	if err == nil && (l.stopped || p.tenant.state != opened) {
		sock.shut()
		l.cfg.Limits.Close(p)
		return
	}
	var s *server
	if err == nil {
		s, err = l.welcome(p, t, in, sock)
	}
	if err != nil {
		l.cfg.Limits.Close(p)
		l.dialFailed(p, err)
		if p.tenant.leaving() {
			l.leftYet(p.tenant)
		}
		return
	}
	p.failed, p.passes, p.routines = nil, false, rs
	p.count.dial.add(took)
	for _, got := range p.greet {
		got <- greeted{params: in.Params}
	}
	p.greet = nil
	l.offer(s)
}

// dialFailed tells those who wait why there is no server, unless there are others
// to wait for or the reason is one that passes, such as a server that starts.
// Clients that come before the next try meet the same end.
func (l *loop) dialFailed(p *Pool, err error) {
	l.log.Warn("server", "event", "dial failed", "tenant", p.tenant.Slug, "database", p.Target().Database, "err", err)
	var passing interface{ Temporary() bool }
	p.failed, p.passes = err, errors.As(err, &passing) && passing.Temporary()
	p.retryAt = l.clock.Add(l.cfg.LoginRetry)
	l.soon()
	if p.passes {
		return
	}
	for _, got := range p.greet {
		got <- greeted{err: err}
	}
	p.greet = nil
	if p.servers > 0 || p.dialing > 0 {
		return
	}
	for c := p.waiting.first; c != nil; c = p.waiting.first {
		l.fatal(c, l.why(p))
	}
}

// greet answers got with the parameters of the next server that p opens.
func (l *loop) greet(tenant *Tenant, t *Target, got chan<- greeted) {
	p := l.pool(tenant, t)
	if p.failed != nil && !p.passes && l.clock.Before(p.retryAt) {
		got <- greeted{err: p.failed}
		return
	}
	p.greet = append(p.greet, got)
	l.grow(p)
}

// queue is a first-in-first-out list of clients, from any place of which one may
// leave.
type queue struct {
	first, last *client
	n           int
}

func (q *queue) push(c *client) {
	c.prev, c.next = q.last, nil
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	q.n++
}

func (q *queue) remove(c *client) {
	if c.prev == nil {
		q.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		q.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	q.n--
}
