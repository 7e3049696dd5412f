package broker

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry/peer"
)

// Stats is the broker at one moment.
type Stats struct {
	MaxConnections int               // tenants that may have open pools
	OpenTenants    int               // tenants that have
	Connections    int               // of clients, proven or not
	HalfOpen       int               // connections that have not proven who they are
	Accepted       uint64            // connections since New
	Dropped        uint64            // … that ended before anybody could be told why
	Refused        map[string]uint64 // connections, by the SQLSTATE that they were told
	Ended          map[string]uint64 // clients, by the SQLSTATE that the relay told them
	DialErrors     map[string]uint64 // by the SQLSTATE of the server
	Servers        []peer.Server
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
		Connections:    int(b.counters.connections.Load()),
		HalfOpen:       int(b.counters.halfOpen.Load()),
		Accepted:       b.counters.accepted.Load(),
		Dropped:        b.counters.dropped.Load(),
		Refused:        b.counters.refused.all(),
		Ended:          b.counters.ended.all(),
		DialErrors:     b.counters.dials.all(),
		Servers:        b.limits.servers(),
		Pools:          pools,
	}, nil
}

// counters only grow, but for halfOpen and connections. Safe for concurrent use.
type counters struct {
	accepted, dropped     atomic.Uint64
	halfOpen, connections atomic.Int64
	repairs, repairErrors atomic.Uint64
	cancels, wrongCancels atomic.Uint64

	refused tally // connections, by the SQLSTATE that they were told
	ended   tally // clients, by that which the relay told them
	dials   tally // dials that failed, by the server's
}

// A tally counts by SQLSTATE. Safe for concurrent use.
type tally struct {
	mu sync.Mutex
	by map[string]uint64
}

// maxCodes bounds the SQLSTATEs that are counted apart: some come from servers,
// which may say anything.
const maxCodes = 64

// otherCode stands for the rest of them, and for failures without one.
const otherCode = "other"

func (t *tally) count(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]uint64{}
	}
	if _, ok := t.by[code]; !ok && len(t.by) >= maxCodes || code == "" {
		code = otherCode
	}
	t.by[code]++
}

func (t *tally) all() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.by)
}

// refusedBy counts a dial that failed.
func (c *counters) refusedBy(err error) {
	code := ""
	var refused *serverError
	if errors.As(err, &refused) && ownCode(refused.Code) || wrongPassword(err) {
		code = refused.Code
	}
	c.dials.count(code)
}
