package broker

import (
	"slices"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
)

// budget is what one PostgreSQL server's connections are spent on. Guarded by
// limits.mu.
type budget struct {
	total   int // of all instances together; 0: no limit
	limit   int // of this one, where there is a limit
	used    int // granted and not closed
	closing int // of these: closed by us and not yet by PostgreSQL
	have    map[*relay.Pool]int
	waiting []claim // oldest first
	asking  bool    // an answer of Shed is still to come
}

// claim is a pool that waits for one connection.
type claim struct {
	pool  *relay.Pool
	since time.Time
}

// Open implements relay.Limits.
func (p *limits) Open(pool *relay.Pool) {
	p.mu.Lock()
	b := p.budget(pool.Target())
	if b.room() {
		b.grant(pool)
		p.mu.Unlock()
		pool.Granted()
		return
	}
	b.waiting = append(b.waiting, claim{pool, time.Now()})
	p.press()
	p.mu.Unlock()
	p.shed(b)
}

// Close implements relay.Limits.
func (p *limits) Close(pool *relay.Pool) {
	p.mu.Lock()
	b := p.budget(pool.Target())
	b.used--
	b.take(pool)
	p.mu.Unlock()
	p.serve(b)
}

// Closing implements relay.Limits: the pool has the connection no more, PostgreSQL
// still does.
func (p *limits) Closing(pool *relay.Pool) (closed func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.budget(pool.Target())
	b.closing++
	b.take(pool)
	return func() {
		p.mu.Lock()
		b.used--
		b.closing--
		p.mu.Unlock()
		p.serve(b)
	}
}

// serve grants what has become free to those who have the least for their weight.
func (p *limits) serve(b *budget) {
	for {
		p.mu.Lock()
		if len(b.waiting) == 0 || !b.room() {
			p.press()
			p.mu.Unlock()
			return
		}
		i := b.next()
		pool := b.waiting[i].pool
		b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
		b.grant(pool)
		p.mu.Unlock()
		pool.Granted()
	}
}

// budget finds or makes the budget of t's server. The caller holds mu.
func (p *limits) budget(t *relay.Target) *budget {
	b := p.budgets[t.Server]
	if b == nil {
		b = &budget{have: map[*relay.Pool]int{}}
		p.budgets[t.Server] = b
	}
	b.total, b.limit = t.Budget, t.Budget
	if p.divided {
		b.limit = p.shares[t.Server]
	}
	return b
}

// room reports whether one more connection may be opened.
func (b *budget) room() bool { return b.total == 0 || b.used < b.limit }

// over reports whether there are more connections than there may be by now.
func (b *budget) over() bool { return b.total != 0 && b.used-b.closing > b.limit }

// short reports whether more pools wait than connections are about to be free.
func (b *budget) short() bool { return len(b.waiting) > b.closing }

func (b *budget) grant(pool *relay.Pool) {
	b.used++
	b.have[pool]++
}

func (b *budget) take(pool *relay.Pool) {
	if b.have[pool]--; b.have[pool] <= 0 {
		delete(b.have, pool)
	}
}

// short reports whether the pool of t, smaller than it may be, waits for one of the
// server's connections, and how many of them are ours.
func (p *limits) short(t *relay.Target) (share int, yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.budgets[t.Server]
	if b == nil {
		return 0, false
	}
	return b.limit, slices.ContainsFunc(b.waiting, func(c claim) bool { return c.pool.Target().Key == t.Key })
}

// load is what a pool has for its weight, with more connections added.
func (b *budget) load(pool *relay.Pool, more int) float64 {
	return float64(b.have[pool]+more) / float64(max(pool.Target().Weight, 1))
}

// next is the claim of the pool that has the least for its weight; the oldest
// among equals. There must be one.
func (b *budget) next() (best int) {
	for i := range b.waiting {
		if b.load(b.waiting[i].pool, 0) < b.load(b.waiting[best].pool, 0) {
			best = i
		}
	}
	return best
}

// maxTurns bounds the turn of a pool with much weight, in slices: others wait for
// its end.
const maxTurns = 4

// mustYield reports whether pool, which has released a server of that age, has
// more than whoever waits would have with it; or just as much, but had it for a
// slice already while the other has waited for one.
func (b *budget) mustYield(pool *relay.Pool, age, slice time.Duration) bool {
	if b.over() {
		return true
	}
	if !b.short() {
		return false
	}
	c := b.waiting[b.next()]
	if c.pool == pool {
		return false
	}
	mine, theirs := b.load(pool, 0), b.load(c.pool, 1)
	if b.have[pool] == 1 {
		// A pool's only connection is not taken at every release, whatever its weight:
		// each of its transactions would begin with a dial. Weight makes its turn longer.
		turns := min(max(pool.Target().Weight, 1), maxTurns)
		return age >= slice*time.Duration(turns) && time.Since(c.since) >= slice && b.load(c.pool, 0) < mine
	}
	return mine > theirs || age >= slice && time.Since(c.since) >= slice && b.load(c.pool, 0) < mine
}

// shed has an idle connection closed for those who wait, or because there are too
// many: first one of the pool that has the most for its weight.
func (p *limits) shed(b *budget) {
	p.mu.Lock()
	if b.asking || !b.short() && !b.over() {
		p.mu.Unlock()
		return
	}
	b.asking = true
	tried := map[*relay.Pool]bool{}
	p.mu.Unlock()
	p.shedNext(b, tried)
}

func (p *limits) shedNext(b *budget, tried map[*relay.Pool]bool) {
	p.mu.Lock()
	var most *relay.Pool
	for pool := range b.have {
		if !tried[pool] && (most == nil || b.load(pool, 0) > b.load(most, 0)) {
			most = pool
		}
	}
	if most == nil || !b.short() && !b.over() {
		b.asking = false
		p.mu.Unlock()
		return
	}
	tried[most] = true
	// Who has no more than others keeps what he used a moment ago: he is between
	// two transactions, and each would begin with a dial.
	idle := p.minIdle
	if b.over() || b.have[most] > 1 && b.load(most, 0) > b.load(b.waiting[b.next()].pool, 1) {
		idle = 0
	}
	p.mu.Unlock()
	most.Shed(idle, func(closed bool) {
		if !closed {
			p.shedNext(b, tried)
			return
		}
		p.mu.Lock()
		b.asking = false
		p.mu.Unlock()
		p.shed(b) // the next of those who wait
	})
}

// divide says that this instance shares servers' connections with others: it has
// none but what share gives it.
func (p *limits) divide() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.divided = true
}

// share sets this instance's part of a server's connections. A smaller one takes
// effect as connections close: idle ones at once, the others at the end of their
// transactions.
func (p *limits) share(server string, connections int) {
	p.mu.Lock()
	p.shares[server] = connections
	b := p.budgets[server]
	if b != nil {
		b.limit = connections
	}
	p.mu.Unlock()
	if b != nil {
		p.serve(b)
		p.shed(b)
	}
}
