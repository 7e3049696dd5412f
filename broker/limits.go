package broker

import (
	"sync"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
)

// tenantPools decides which tenants have servers: at most max at a time. One more
// takes the place of the least recently used whose servers are all idle and have
// been for minIdle; when there is none, it waits. Safe for concurrent use; asked
// only when a tenant opens or has closed, never per transaction.
type tenantPools struct {
	max     int
	minIdle time.Duration // so that two tenants do not take turns in closing each other

	mu       sync.Mutex
	open     map[*relay.Tenant]place
	waiting  []*relay.Tenant // first come, first served
	evicting int             // answers of Evict that are still to come
}

// place is what an open tenant holds.
type place struct {
	leaving bool // asked to go; its answer is still to come, or was no
}

// minPoolIdle keeps a pool that was used a moment ago: opening one costs a SCRAM
// exchange and a backend, some 5 ms.
const minPoolIdle = 500 * time.Millisecond

func newTenantPools(limit int) *tenantPools {
	return &tenantPools{max: limit, minIdle: minPoolIdle, open: map[*relay.Tenant]place{}}
}

// Take implements relay.Places.
func (p *tenantPools) Take(t *relay.Tenant) {
	p.mu.Lock()
	if len(p.open) < p.max {
		p.open[t] = place{}
		p.mu.Unlock()
		t.Granted()
		return
	}
	p.waiting = append(p.waiting, t)
	p.mu.Unlock()
	p.evict()
}

// Give implements relay.Places: the place goes to whoever has waited longest.
func (p *tenantPools) Give(t *relay.Tenant) {
	p.mu.Lock()
	delete(p.open, t)
	for i, w := range p.waiting {
		if w == t {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			break
		}
	}
	var next *relay.Tenant
	if len(p.waiting) > 0 && len(p.open) < p.max {
		next, p.waiting = p.waiting[0], p.waiting[1:]
		p.open[next] = place{}
	}
	p.mu.Unlock()
	if next != nil {
		next.Granted()
	}
}

// Retry implements relay.Places: those that refused to go are asked again.
func (p *tenantPools) Retry() {
	p.mu.Lock()
	if p.evicting == 0 {
		for t := range p.open {
			p.open[t] = place{}
		}
	}
	p.mu.Unlock()
	p.evict()
}

// evict asks the least recently used tenants to go, as many as are waited for.
func (p *tenantPools) evict() {
	for {
		p.mu.Lock()
		if p.evicting >= len(p.waiting) {
			p.mu.Unlock()
			return
		}
		t := p.oldest()
		if t == nil {
			p.mu.Unlock()
			return
		}
		p.open[t] = place{leaving: true}
		p.evicting++
		p.mu.Unlock()
		t.Evict(p.answered)
	}
}

// answered is told whether a tenant went, after it gave its place back.
func (p *tenantPools) answered(gone bool) {
	p.mu.Lock()
	p.evicting--
	p.mu.Unlock()
	if !gone {
		p.evict()
	}
}

// oldest returns the open tenant that was used longest ago, if that is long
// enough, among those not asked yet. The caller holds mu.
func (p *tenantPools) oldest() (t *relay.Tenant) {
	for c, held := range p.open {
		if !held.leaving && time.Since(c.LastUsed()) >= p.minIdle && (t == nil || c.LastUsed().Before(t.LastUsed())) {
			t = c
		}
	}
	return t
}

// count is how many tenants are open.
func (p *tenantPools) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}
