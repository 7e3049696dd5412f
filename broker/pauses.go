package broker

import (
	"context"
	"slices"
	"sync"

	"github.com/nusajournal/dermaga/broker/console"
	"github.com/nusajournal/dermaga/broker/relay"
)

// pauses are what the console has paused, at this broker only: a tenant, or all of
// them, those that come later included. The relay keeps a paused tenant's new
// transactions waiting, without a time-out. Safe for concurrent use.
type pauses struct {
	// turn is held by who changes the record and tells the relay, so that both come
	// in the same order. It is taken before entering.
	turn sync.Mutex
	// entering is held, shared, by who brings a client in, so that each client sees
	// a pause of everything or is seen by it. It is taken before mu.
	entering sync.RWMutex

	mu  sync.Mutex
	all chan struct{}            // closed when it is undone; nil: not everything is paused
	one map[string]chan struct{} // likewise, by tenant id
}

func newPauses() *pauses { return &pauses{one: map[string]chan struct{}{}} }

func (p *pauses) everything() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all != nil
}

// holds reports whether the tenant of this id is paused.
func (p *pauses) holds(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all != nil || p.one[id] != nil
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
	case p.one[id] == nil:
		p.one[id] = make(chan struct{})
	}
	return p.one[id], nil
}

// end undoes what begin has noted, and reports whether there was anything.
func (p *pauses) end(id string) bool {
	p.entering.Lock()
	defer p.entering.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := p.one[id]
	if id == "" {
		ended, p.all = p.all, nil
	}
	if ended == nil {
		return false
	}
	delete(p.one, id)
	close(ended)
	return true
}

// each are the ids for which begin has noted a pause.
func (p *pauses) each() (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.one {
		ids = append(ids, id)
	}
	if p.all != nil {
		ids = append(ids, "")
	}
	return ids
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
	held, err := b.hold(ctx, slug)
	if err != nil {
		return err
	}
	for range held.ids {
		select {
		case <-held.quiet:
		case <-held.ended:
			return console.ErrResumed
		case <-ctx.Done():
			_ = b.letGo(context.WithoutCancel(ctx), held.order)
			return context.Cause(ctx)
		}
	}
	return b.renew(ctx, held.ids) // whoever pauses may mean to restart PostgreSQL
}

// held are the tenants of one order to pause.
type held struct {
	order string // id of the tenant, "" for everything
	ids   []string
	quiet <-chan struct{} // one for each that has no transaction running
	ended <-chan struct{} // closed when the pause is undone
}

// hold begins a pause of a tenant, or of all if slug is "", and tells the relay.
func (b *Broker) hold(ctx context.Context, slug string) (held, error) {
	if b.pauses.everything() {
		return held{}, console.ErrPaused
	}
	id, err := b.tenantID(ctx, slug)
	if err != nil {
		return held{}, err
	}
	b.pauses.turn.Lock()
	defer b.pauses.turn.Unlock()
	ended, err := b.pauses.begin(id)
	if err != nil {
		return held{}, err
	}
	ids, err := b.pausable(ctx, id)
	if err != nil {
		b.pauses.end(id)
		return held{}, err
	}
	quiet := make(chan struct{}, len(ids))
	for _, id := range ids {
		b.relay.Pause(id, func() { quiet <- struct{}{} })
	}
	return held{id, ids, quiet, ended}, nil
}

// letGo undoes the pauses of these ids, "" for the one of everything, where there
// are any.
func (b *Broker) letGo(ctx context.Context, ids ...string) error {
	b.pauses.turn.Lock()
	defer b.pauses.turn.Unlock()
	undone := false
	for _, id := range ids {
		undone = b.pauses.end(id) || undone
	}
	if !undone {
		return console.ErrNotPaused
	}
	if slices.Contains(ids, "") {
		all, err := b.pausable(ctx, "")
		if err != nil {
			return err
		}
		ids = append(ids, all...)
	}
	for _, id := range ids {
		if id != "" && !b.pauses.holds(id) {
			b.relay.Unpause(id)
		}
	}
	return nil
}

// kill ends a tenant's clients and servers, or all, at once, and leaves it paused.
func (b *Broker) kill(ctx context.Context, slug string) error {
	held, err := b.hold(ctx, slug)
	if err != nil {
		return err
	}
	gone := make(chan struct{}, len(held.ids))
	for _, id := range held.ids {
		b.relay.End(id, errForced.Fields(), 0, true, func() { gone <- struct{}{} })
	}
	for range held.ids {
		select {
		case <-gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return b.renew(ctx, held.ids)
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
	_, err := b.snapshot(ctx) // the loops have read their mail when they answer
	return err
}

// pausable are the tenants that the relay knows, or the one of this id.
func (b *Broker) pausable(ctx context.Context, id string) (ids []string, err error) {
	if id != "" {
		return []string{id}, nil
	}
	pools, err := b.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range pools {
		ids = append(ids, p.Tenant)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// snapshot asks the loops, which answer soon or not in time.
func (b *Broker) snapshot(ctx context.Context) ([]relay.PoolStats, error) {
	ctx, cancel := context.WithTimeout(ctx, statsWait)
	defer cancel()
	return b.relay.Snapshot(ctx)
}
