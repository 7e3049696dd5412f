package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
)

// limits is the broker's only global: which tenants have servers (at most max at
// a time), and how the connections of each PostgreSQL server are shared among
// the tenants there. Safe for concurrent use. It is asked when a tenant or a
// server opens or closes, and at releases only while somebody waits.
//
// Idle things make room first: the least recently used tenant whose servers are
// all idle, an idle connection of the tenant that has the most for its weight.
// When nothing is idle, turns are taken between transactions: what has had its
// turn for a slice gives way to who has waited for one.
type limits struct {
	max     int
	minIdle time.Duration // so that two tenants do not take turns in closing each other
	slice   time.Duration // of a turn, when there is more demand than room
	pressed atomic.Bool

	mu       sync.Mutex
	open     map[*relay.Tenant]*place
	waiting  []asker            // for a place; first come, first served
	evicting int                // answers of Evict that are still to come
	leaving  int                // tenants told to leave that are still there
	budgets  map[string]*budget // by PostgreSQL server
	divided  bool               // servers' connections are shared with other instances
	shares   map[string]int     // … and this is our part of each
	forced   uint64             // turns taken from busy tenants
}

// place is what an open tenant holds.
type place struct {
	since   time.Time
	asked   bool // asked to go; its answer is still to come, or was no
	leaving bool // told to go at the end of its transactions
}

// asker is a tenant that waits for a place.
type asker struct {
	tenant *relay.Tenant
	since  time.Time
}

// minPoolIdle keeps a pool that was used a moment ago: opening one costs a SCRAM
// exchange and a backend, some 5 ms.
const minPoolIdle = 500 * time.Millisecond

// turn is long against the 5 ms that opening a connection takes, and short
// against anybody's patience.
const turn = 250 * time.Millisecond

func newLimits(tenants int) *limits {
	return &limits{
		max: tenants, minIdle: minPoolIdle, slice: turn,
		open: map[*relay.Tenant]*place{}, budgets: map[string]*budget{}, shares: map[string]int{},
	}
}

// Take implements relay.Limits.
func (p *limits) Take(t *relay.Tenant) {
	p.mu.Lock()
	if len(p.open) < p.max {
		p.open[t] = &place{since: time.Now()}
		p.mu.Unlock()
		t.Granted()
		return
	}
	p.waiting = append(p.waiting, asker{t, time.Now()})
	p.press()
	p.mu.Unlock()
	p.evict()
}

// Give implements relay.Limits: the place goes to whoever has waited longest.
func (p *limits) Give(t *relay.Tenant) {
	p.mu.Lock()
	if had := p.open[t]; had != nil && had.leaving {
		p.leaving--
	}
	delete(p.open, t)
	for i, w := range p.waiting {
		if w.tenant == t {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			break
		}
	}
	var next *relay.Tenant
	if len(p.waiting) > 0 && len(p.open) < p.max {
		next, p.waiting = p.waiting[0].tenant, p.waiting[1:]
		p.open[next] = &place{since: time.Now()}
	}
	p.press()
	p.mu.Unlock()
	if next != nil {
		next.Granted()
	}
}

// Pressed implements relay.Limits.
func (p *limits) Pressed() *atomic.Bool { return &p.pressed }

// press says whether releases must ask. The caller holds mu.
func (p *limits) press() {
	pressed := len(p.waiting) > 0
	for _, b := range p.budgets {
		pressed = pressed || len(b.waiting) > 0 || b.over()
	}
	p.pressed.Store(pressed)
}

// Retry implements relay.Limits: those that refused to go are asked again.
func (p *limits) Retry() {
	p.mu.Lock()
	if p.evicting == 0 {
		for _, held := range p.open {
			held.asked = false
		}
	}
	var short []*budget
	for _, b := range p.budgets {
		if len(b.waiting) > 0 || b.over() {
			short = append(short, b)
		}
	}
	p.mu.Unlock()
	p.evict()
	for _, b := range short {
		p.shed(b)
	}
}

// Yield implements relay.Limits.
func (p *limits) Yield(pool *relay.Pool, age time.Duration) relay.Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mustLeave(pool.Tenant()) {
		p.open[pool.Tenant()].leaving = true
		p.leaving++
		p.forced++
		return relay.CloseTenant
	}
	if b := p.budgets[pool.Target().Server]; b != nil && b.mustYield(pool, age, p.slice) {
		p.forced++
		return relay.CloseServer
	}
	return relay.Keep
}

// mustLeave reports whether t, which is busy, has had its turn for long enough
// and belongs to those that have had theirs the longest, as many as are waited
// for. The caller holds mu.
func (p *limits) mustLeave(t *relay.Tenant) bool {
	held := p.open[t]
	now := time.Now()
	if held == nil || held.leaving || now.Sub(held.since) < p.slice {
		return false
	}
	ripe := 0 // those who have waited for a slice
	for _, w := range p.waiting {
		if now.Sub(w.since) >= p.slice {
			ripe++
		}
	}
	if ripe <= p.leaving {
		return false
	}
	earlier := 0
	for _, other := range p.open {
		if !other.leaving && other.since.Before(held.since) {
			earlier++
		}
	}
	// Twice as many as are needed: some of the earlier ones may be in a long
	// transaction and never ask.
	return earlier < 2*ripe
}

// Stays implements relay.Limits: a tenant told to go could not.
func (p *limits) Stays(t *relay.Tenant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held := p.open[t]; held != nil && held.leaving {
		held.leaving = false
		held.since = time.Now()
		p.leaving--
	}
}

// evict asks the least recently used tenants to go, as many as are waited for.
func (p *limits) evict() {
	for {
		p.mu.Lock()
		t := p.oldest()
		if p.evicting+p.leaving >= len(p.waiting) || t == nil {
			p.mu.Unlock()
			return
		}
		p.open[t].asked = true
		p.evicting++
		p.mu.Unlock()
		t.Evict(p.answered)
	}
}

// answered is told whether a tenant went, after it gave its place back.
func (p *limits) answered(gone bool) {
	p.mu.Lock()
	p.evicting--
	p.mu.Unlock()
	if !gone {
		p.evict()
	}
}

// oldest returns the open tenant that was used longest ago, if that is long
// enough, among those not asked yet. The caller holds mu.
func (p *limits) oldest() (t *relay.Tenant) {
	for c, held := range p.open {
		if !held.asked && !held.leaving && time.Since(c.LastUsed()) >= p.minIdle && (t == nil || c.LastUsed().Before(t.LastUsed())) {
			t = c
		}
	}
	return t
}

// count is how many tenants are open.
func (p *limits) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}
