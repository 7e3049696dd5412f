package relay

import (
	"cmp"
	"context"
	"maps"
	"math/bits"
	"slices"
	"time"
)

// counts only grow, also while the tenant has no servers. Owned by the loop.
type counts struct {
	queries           uint64
	parses            uint64 // statements prepared again, on another server
	bytesIn, bytesOut uint64 // from clients, from servers
	opened, closed    uint64 // servers
	// Of clients that had to wait for a server and have got one or given up, of
	// transactions from their first message on, of dials with their login, of
	// questions what a client has left in its server.
	wait, transaction, dial, audit Histogram
	pinned                         uint64 // times that a client began to keep a server
	// Times that the pool was closed: idle, for another tenant; for another
	// tenant's turn; because nobody had used it.
	evictedIdle, evictedTurn, evictedTTL uint64
	errors                               map[string]uint64 // of clients' queries, by SQLSTATE
}

// maxCodes bounds the SQLSTATEs that are counted apart: RAISE can make up any.
const maxCodes = 100

// OtherCodes is what the rest is counted under.
const OtherCodes = "other"

func (n *counts) failed(code string) {
	if n.errors == nil {
		n.errors = map[string]uint64{}
	}
	if _, known := n.errors[code]; !known && (len(n.errors) >= maxCodes || len(code) != 5) {
		code = OtherCodes
	}
	n.errors[code]++
}

// Histogram counts durations: bucket i those above 2^(i-1) and up to 2^i
// nanoseconds.
type Histogram struct {
	Buckets [64]uint64
	Sum     time.Duration
}

func (h *Histogram) add(d time.Duration) {
	h.Buckets[bits.Len64(uint64(max(d, 1)-1))]++
	h.Sum += d
}

// Count is how many durations there were.
func (h Histogram) Count() (n uint64) {
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// Add adds o's durations to h's.
func (h *Histogram) Add(o Histogram) {
	for i, b := range o.Buckets {
		h.Buckets[i] += b
	}
	h.Sum += o.Sum
}

// PoolStats is a pool as it was when Snapshot asked.
type PoolStats struct {
	Tenant, Slug, Database, Role string
	Open                         bool // the tenant holds a place
	Held                         bool // new transactions wait for Resume
	Paused                       bool // … for Unpause
	Clients, Active, Waiting     int  // Active: paired with a server
	Servers, Idle, Dialing       int
	PoolSize                     int
	Queries                      uint64
	Reparses                     uint64 // statements prepared again, on another server
	BytesIn, BytesOut            uint64 // from clients, from servers
	ServersOpened, ServersClosed uint64
	// Of waits for a server that are over, of transactions, of dials that worked, of
	// audits.
	Wait, Transaction, Dial, Audit Histogram
	Pinned                         int    // clients that keep a server for what they left in it
	Pins                           uint64 // times that one has begun to
	// Times that the pool was closed: idle, for another tenant; for another
	// tenant's turn; because nobody had used it.
	EvictedIdle, EvictedTurn, EvictedTTL uint64
	Errors                               map[string]uint64 // of clients' queries, by SQLSTATE
	WaitingLongest                       time.Duration     // of those who wait now
	LastUsed                             time.Time
}

// Snapshot returns all pools that had a client since Start, sorted by slug and
// role. A loop answers between two turns.
func (r *Relay) Snapshot(ctx context.Context) ([]PoolStats, error) {
	tenants := r.all()
	out, err := gather(ctx, r, func(l *loop) []PoolStats { return l.snapshot(tenants) })
	slices.SortFunc(out, func(a, b PoolStats) int { return cmp.Or(cmp.Compare(a.Slug, b.Slug), cmp.Compare(a.Role, b.Role)) })
	return out, err
}

func (l *loop) snapshot(tenants []*Tenant) (out []PoolStats) {
	for _, t := range tenants {
		if t.loop == l {
			t.each(func(p *Pool) { out = append(out, l.stats(p)) })
		}
	}
	return out
}

func (l *loop) stats(p *Pool) PoolStats {
	t, n := p.Target(), &p.count
	return PoolStats{
		Tenant: t.Tenant, Slug: t.Slug, Database: t.Database, Role: t.Role,
		Open: p.tenant.state == opened, Held: p.tenant.gate.held.on, Paused: p.tenant.gate.paused.on,
		Clients: p.clients, Active: p.servers - len(p.idle), Waiting: p.waiting.n,
		Servers: p.servers, Idle: len(p.idle), Dialing: p.dialing, PoolSize: t.PoolSize,
		Queries: n.queries, Reparses: n.parses, BytesIn: n.bytesIn, BytesOut: n.bytesOut, ServersOpened: n.opened, ServersClosed: n.closed,
		Wait: n.wait, Transaction: n.transaction, Dial: n.dial, Audit: n.audit, Pinned: p.pinned, Pins: n.pinned,
		EvictedIdle: n.evictedIdle, EvictedTurn: n.evictedTurn, EvictedTTL: n.evictedTTL,
		Errors: maps.Clone(n.errors), WaitingLongest: l.waitedLongest(p), LastUsed: p.tenant.LastUsed(),
	}
}
