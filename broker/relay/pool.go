package relay

import (
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
	state placement
	pools map[string]*pool
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
			answered(false)
			return
		}
		t.each(func(p *pool) { p.count.evictions++ })
		l.close(t)
		answered(true)
	}) {
		answered(false)
	}
}

// busy reports whether a server of t is in use, wanted or on its way.
func (t *Tenant) busy() (yes bool) {
	t.each(func(p *pool) {
		yes = yes || p.waiting.n > 0 || len(p.greet) > 0 || p.dialing > 0 || len(p.idle) < p.servers
	})
	return yes
}

func (t *Tenant) each(f func(*pool)) {
	for _, p := range t.pools {
		f(p)
	}
}

// granted opens t for those who wait.
func (l *loop) granted(t *Tenant) {
	if t.state != asking {
		return
	}
	t.state = opened
	t.lastUsed.Store(l.clock.UnixNano())
	t.each(l.grow)
}

// close gives t's place back; its servers must be idle.
func (l *loop) close(t *Tenant) {
	t.each(func(p *pool) {
		for len(p.idle) > 0 {
			l.closeServer(p.idle[len(p.idle)-1])
		}
	})
	t.state = closed
	delete(l.open, t)
	l.cfg.Places.Give(t)
}

// A pool holds the servers of one target: those that wait for a client, and the
// clients that wait for one. Owned by its loop.
type pool struct {
	tenant  *Tenant
	target  *Target
	idle    []*server // most recently used last: warm sockets and plans first
	waiting queue     // clients without a server, oldest first
	servers int       // logged in
	dialing int
	clients int
	greet   []chan<- greeted // who waits to know what a server greets with

	failed  error     // of the last dial; nil after one that worked
	retryAt time.Time // no dial before

	count counts
}

// pool finds or makes the pool for t's key.
func (l *loop) pool(tenant *Tenant, t *Target) *pool {
	p, ok := tenant.pools[t.Key]
	if !ok {
		p = &pool{tenant: tenant}
		tenant.pools[t.Key] = p
	}
	p.target = t
	return p
}

// backOff is how long a pool that could not open a server waits until it tries
// again; clients that come meanwhile get the same error.
const backOff = 500 * time.Millisecond

// grow opens as many servers as are wanted and allowed. The first one waits for
// the tenant's place.
func (l *loop) grow(p *pool) {
	want := p.waiting.n
	if len(p.greet) > 0 {
		want = max(want, 1)
	}
	if want == 0 {
		return
	}
	switch t := p.tenant; t.state {
	case closed:
		t.state = asking
		l.open[t] = struct{}{}
		l.soon()
		l.cfg.Places.Take(t)
	case opened:
		for p.dialing < want && p.servers+p.dialing < p.target.PoolSize && !l.clock.Before(p.retryAt) {
			p.dialing++
			go l.dial(p, p.target)
		}
	}
}

// dial runs in a goroutine of its own and posts what came of it.
func (l *loop) dial(p *pool, t *Target) {
	s, err := t.Dial(l.relay.ctx)
	var sock socket
	if err == nil {
		sock, err = adopt(s.Conn)
	}
	if err == nil {
		l.relay.remember(t, s.Params)
	}
	if !l.box.post(func(l *loop) { l.dialled(p, t, s, sock, err) }) && err == nil {
		sock.shut()
	}
}

// dialled takes a new server, or tells those who waited only for it why there is
// none.
func (l *loop) dialled(p *pool, t *Target, in *Server, sock socket, err error) {
	p.dialing--
	if err == nil && (l.stopped || p.tenant.state != opened) {
		sock.shut()
		return
	}
	var s *server
	if err == nil {
		s, err = l.welcome(p, t, in, sock)
	}
	if err != nil {
		l.dialFailed(p, err)
		return
	}
	p.failed = nil
	for _, got := range p.greet {
		got <- greeted{params: in.Params}
	}
	p.greet = nil
	l.offer(s)
}

// dialFailed ends those who wait where there is no server to wait for. Otherwise
// they go on waiting for the servers that there are.
func (l *loop) dialFailed(p *pool, err error) {
	l.log.Warn("server", "event", "dial failed", "tenant", p.tenant.Slug, "database", p.target.Database, "err", err)
	p.failed = err
	p.retryAt = l.clock.Add(backOff)
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
	if p.failed != nil && l.clock.Before(p.retryAt) {
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
