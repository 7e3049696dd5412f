package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
)

// Stats is the broker at one moment.
type Stats struct {
	MaxConnections int    // tenants that may have open pools
	OpenTenants    int    // tenants that have
	HalfOpen       int    // connections that have not proven who they are
	Accepted       uint64 // connections since New
	Dropped        uint64 // … that ended before anybody could be told why
	Refused        map[string]uint64
	Pools          []relay.PoolStats // of every tenant and role that had a client since New
}

// statsWait bounds the wait for a loop's answer: a loop that takes longer is
// busier than a reader of statistics is important.
const statsWait = 2 * time.Second

// Stats asks every loop. Safe for concurrent use.
func (b *Broker) Stats(ctx context.Context) (Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, statsWait)
	defer cancel()
	pools, err := b.relay.Snapshot(ctx)
	if err != nil {
		return Stats{}, err
	}
	return Stats{
		MaxConnections: b.cfg.MaxConnections,
		OpenTenants:    b.limits.count(),
		HalfOpen:       int(b.counters.halfOpen.Load()),
		Accepted:       b.counters.accepted.Load(),
		Dropped:        b.counters.dropped.Load(),
		Refused:        b.counters.refusals(),
		Pools:          pools,
	}, nil
}

// counters only grow, but for halfOpen. Safe for concurrent use.
type counters struct {
	accepted, dropped atomic.Uint64
	halfOpen          atomic.Int64

	mu      sync.Mutex
	refused map[string]uint64 // by SQLSTATE, of which errors.go has a dozen
}

func (c *counters) refuse(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = map[string]uint64{}
	}
	c.refused[code]++
}

func (c *counters) refusals() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]uint64, len(c.refused))
	for code, n := range c.refused {
		out[code] = n
	}
	return out
}
