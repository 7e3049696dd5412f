package relay

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// counts only grow, also while the tenant has no servers. Owned by the loop.
type counts struct {
	transactions, queries uint64
	bytesIn, bytesOut     uint64 // from clients, from servers
	opened, closed        uint64 // servers
	waits                 uint64 // clients that had to wait for a server, and have got one or given up
	waited                time.Duration
	evictions             uint64
}

// PoolStats is a pool as it was when Snapshot asked.
type PoolStats struct {
	Tenant, Slug, Database, Role string
	Open                         bool // the tenant holds a place
	Clients, Active, Waiting     int  // Active: paired with a server
	Servers, Idle, Dialing       int
	PoolSize                     int
	Transactions, Queries        uint64
	BytesIn, BytesOut            uint64 // from clients, from servers
	ServersOpened, ServersClosed uint64
	Waits, Evictions             uint64
	Waited, WaitingLongest       time.Duration
	LastUsed                     time.Time
}

// Snapshot returns all pools that had a client since Start, sorted by slug and
// role. A loop answers between two turns.
func (r *Relay) Snapshot(ctx context.Context) ([]PoolStats, error) {
	got := make(chan []PoolStats, len(r.loops))
	tenants := r.all()
	for _, l := range r.loops {
		if !l.box.post(func(l *loop) { got <- l.snapshot(tenants) }) {
			return nil, ErrStopped
		}
	}
	var out []PoolStats
	for range r.loops {
		select {
		case some := <-got:
			out = append(out, some...)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	slices.SortFunc(out, func(a, b PoolStats) int { return cmp.Or(cmp.Compare(a.Slug, b.Slug), cmp.Compare(a.Role, b.Role)) })
	return out, nil
}

func (l *loop) snapshot(tenants []*Tenant) (out []PoolStats) {
	for _, t := range tenants {
		if t.loop != l {
			continue
		}
		t.each(func(p *Pool) {
			n := p.count
			out = append(out, PoolStats{
				Tenant: t.ID, Slug: p.Target().Slug, Database: p.Target().Database, Role: p.Target().Role, Open: t.state == opened,
				Clients: p.clients, Active: p.servers - len(p.idle), Waiting: p.waiting.n,
				Servers: p.servers, Idle: len(p.idle), Dialing: p.dialing, PoolSize: p.Target().PoolSize,
				Transactions: n.transactions, Queries: n.queries, BytesIn: n.bytesIn, BytesOut: n.bytesOut,
				ServersOpened: n.opened, ServersClosed: n.closed, Waits: n.waits, Evictions: n.evictions,
				Waited: n.waited, WaitingLongest: l.waitedLongest(p), LastUsed: t.LastUsed(),
			})
		})
	}
	return out
}
