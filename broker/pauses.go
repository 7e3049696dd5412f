package broker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/nusajournal/dermaga/broker/console"
	"github.com/nusajournal/dermaga/broker/relay"
)

// pauses are what the console has paused, at this broker only: a tenant, or all of
// them, those that come later included. The relay keeps a paused tenant's new
// transactions waiting, without a time-out. Safe for concurrent use.
type pauses struct {
	// entering is held, shared, by who brings a client in, so that each client sees
	// a pause of everything or is seen by it. It is taken before mu.
	entering sync.RWMutex

	mu      sync.Mutex
	all     chan struct{}            // closed when it is undone; nil: not everything is paused
	tenants map[string]chan struct{} // likewise, by tenant id
}

func newPauses() *pauses { return &pauses{tenants: map[string]chan struct{}{}} }

func (p *pauses) everything() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all != nil
}

func (p *pauses) tenant(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tenants[id] != nil
}

// begin notes a pause of the tenant of this id, or of everything if it is "". The
// channel is closed when the pause is undone.
func (p *pauses) begin(id string) (ended <-chan struct{}, err error) {
	p.entering.Lock() // who has come in before is with the relay now
	defer p.entering.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.all != nil:
		return nil, console.ErrPaused
	case id == "":
		p.all = make(chan struct{})
		return p.all, nil
	case p.tenants[id] == nil:
		p.tenants[id] = make(chan struct{})
	}
	return p.tenants[id], nil
}

// end undoes a pause, and says of which tenants. Of everything, it undoes those of
// single tenants too.
func (p *pauses) end(id string) (ids []string, err error) {
	p.entering.Lock()
	defer p.entering.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if id != "" {
		ended := p.tenants[id]
		if ended == nil {
			return nil, console.ErrNotPaused
		}
		delete(p.tenants, id)
		close(ended)
		return []string{id}, nil
	}
	if p.all == nil && len(p.tenants) == 0 {
		return nil, console.ErrNotPaused
	}
	if p.all != nil {
		close(p.all)
		p.all = nil
	}
	ids = slices.Collect(maps.Keys(p.tenants))
	for _, ended := range p.tenants {
		close(ended)
	}
	clear(p.tenants)
	return ids, nil
}

// bringIn gives a client to the relay, where a pause of everything holds it.
func (b *Broker) bringIn(c relay.Client) (relay.Handle, error) {
	b.pauses.entering.RLock()
	defer b.pauses.entering.RUnlock()
	if b.pauses.everything() {
		b.relay.Pause(c.Target.Tenant, func() {})
	}
	return b.relay.Add(c)
}

// pause holds the transactions of a tenant, or of all if slug is "", and returns
// when none runs any more. If ctx ends before, the pause is undone.
func (b *Broker) pause(ctx context.Context, slug string) error {
	if b.pauses.everything() {
		return console.ErrPaused
	}
	id, err := b.tenantID(ctx, slug)
	if err != nil {
		return err
	}
	ended, err := b.pauses.begin(id)
	if err != nil {
		return err
	}
	err = b.quieten(ctx, id, ended)
	if err != nil && !errors.Is(err, console.ErrResumed) {
		_ = b.resumePaused(context.WithoutCancel(ctx), id)
	}
	return err
}

func (b *Broker) quieten(ctx context.Context, id string, ended <-chan struct{}) error {
	ids, err := b.pausable(ctx, id)
	if err != nil {
		return err
	}
	quiet := make(chan struct{}, len(ids))
	for _, id := range ids {
		b.relay.Pause(id, func() { quiet <- struct{}{} })
	}
	for range ids {
		select {
		case <-quiet:
		case <-ended:
			return console.ErrResumed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return b.renew(ctx, ids) // whoever pauses may mean to restart PostgreSQL
}

// resumePaused undoes a pause of the tenant of this id, or all if it is "".
func (b *Broker) resumePaused(ctx context.Context, id string) error {
	ids, err := b.pauses.end(id)
	if err != nil {
		return err
	}
	for _, id := range ids {
		b.relay.Unpause(id)
	}
	if id != "" {
		return nil
	}
	pools, err := b.relay.Snapshot(ctx)
	for _, p := range pools {
		if p.Paused {
			b.relay.Unpause(p.Tenant)
		}
	}
	return err
}

// kill ends a tenant's clients and servers, or all, at once, and leaves it paused.
func (b *Broker) kill(ctx context.Context, slug string) error {
	if b.pauses.everything() {
		return console.ErrPaused
	}
	id, err := b.tenantID(ctx, slug)
	if err != nil {
		return err
	}
	if _, err := b.pauses.begin(id); err != nil {
		return err
	}
	ids, err := b.pausable(ctx, id)
	if err != nil {
		return err
	}
	gone := make(chan struct{}, len(ids))
	for _, id := range ids {
		b.relay.Pause(id, func() {})
		b.relay.End(id, errForced.Fields(), 0, true, func() { gone <- struct{}{} })
		b.relay.Reconnect(id)
	}
	for range ids {
		select {
		case <-gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// reconnect has a tenant's servers, or all, closed as they become free.
func (b *Broker) reconnect(ctx context.Context, slug string) error {
	id, err := b.tenantID(ctx, slug)
	if err != nil {
		return err
	}
	ids, err := b.pausable(ctx, id)
	if err != nil {
		return err
	}
	return b.renew(ctx, ids)
}

// renew has the servers of these tenants closed as they become free. What a client
// asks for from then on gets another one.
func (b *Broker) renew(ctx context.Context, ids []string) error {
	for _, id := range ids {
		b.relay.Reconnect(id)
	}
	_, err := b.relay.Snapshot(ctx) // the loops have read their mail when they answer
	return err
}

// pausable are the tenants that the relay knows, or the one of this id.
func (b *Broker) pausable(ctx context.Context, id string) (ids []string, err error) {
	if id != "" {
		return []string{id}, nil
	}
	pools, err := b.relay.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range pools {
		ids = append(ids, p.Tenant)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
