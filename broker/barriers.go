package broker

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/registry"
)

// concerned are the tenants to ask about: those of n, or all, that have clients
// or a barrier.
func (w *watcher) concerned(n notes, all bool) (ids []string) {
	candidates := map[string]bool{}
	for _, id := range w.b.census.tenantIDs() {
		candidates[id] = true
	}
	w.mu.Lock()
	for id := range w.barriers {
		candidates[id] = true
	}
	w.mu.Unlock()
	for id := range candidates {
		if all || n.tenants[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// apply makes a tenant's status true for its clients, if it is not yet.
func (w *watcher) apply(state registry.TenantState, batch *effects) {
	w.mu.Lock()
	before, barred := w.barriers[state.ID]
	w.mu.Unlock()
	switch {
	case state.Status == registry.Active:
		if barred {
			w.lift(before)
		}
		return
	case barred && before.Status == state.Status:
		w.forget(w.renew(state))
		return
	case barred && state.Status == registry.Provisioning:
		return // as it was: nobody is here, and who comes waits
	}
	g := barrier{TenantState: state}
	w.keep(g)
	w.b.log.Info(eventStatus, keyTenant, state.Slug, keyStatus, string(state.Status), keyClients, w.b.census.clients(state.ID))
	happened := w.acks.expect(batch)
	done := func() {
		w.quiet(state.ID)
		happened()
	}
	if state.Status != registry.Migrating {
		w.b.relay.End(state.ID, errEnded(state).Fields(), w.b.cfg.SuspendGrace, false, done)
		return
	}
	if barred { // ended before; those who come meanwhile are to wait
		w.b.relay.Resume(state.ID)
	}
	w.b.relay.Hold(state.ID, done)
}

func (w *watcher) keep(g barrier) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.barriers[g.ID] = g
}

// renew keeps the barrier with a newer version of the same status.
func (w *watcher) renew(state registry.TenantState) barrier {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.barriers[state.ID]
	g.TenantState = state
	w.barriers[state.ID] = g
	return g
}

// quiet notes that a barrier's effects have happened.
func (w *watcher) quiet(tenant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g, ok := w.barriers[tenant]; ok {
		g.quiet = true
		w.barriers[tenant] = g
	}
}

// lift lets a tenant's clients go on.
func (w *watcher) lift(g barrier) {
	w.b.relay.Resume(g.ID)
	w.mu.Lock()
	delete(w.barriers, g.ID)
	w.mu.Unlock()
	w.b.log.Info(eventStatus, keyTenant, g.Slug, keyStatus, string(registry.Active), keyClients, w.b.census.clients(g.ID))
}

// forget drops the barrier of a tenant without clients: who comes now asks the
// registry himself.
func (w *watcher) forget(g barrier) {
	if !g.quiet || w.b.census.clients(g.ID) > 0 {
		return
	}
	w.b.relay.Resume(g.ID)
	w.mu.Lock()
	delete(w.barriers, g.ID)
	w.mu.Unlock()
}

// barrier is what was applied to a tenant's clients, if they are not simply served.
func (w *watcher) barrier(tenant string) (barrier, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.barriers[tenant]
	return g, ok
}

// count is how many tenants' clients are not simply served, by status.
func (w *watcher) count() map[registry.Status]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[registry.Status]int{registry.Migrating: 0, registry.Suspended: 0, registry.Deleted: 0}
	for _, g := range w.barriers {
		out[g.Status]++
	}
	return out
}

// lookAtOnce bounds the look-ups that one round has under way.
const lookAtOnce = 8

// examineLogins looks whether the clients that n concerns may still be here, and
// tells their pools how they are reached now.
func (w *watcher) examineLogins(ctx context.Context, n notes, batch *effects) error {
	now := time.Now()
	concerned := w.b.census.who(func(p pair, g *guests) bool {
		return n.everything || n.allRoutes || n.logins[p.login] || n.routes[p.tenant] ||
			g.barred != nil || !g.until.IsZero() && now.After(g.until)
	})
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(lookAtOnce)
	for p, g := range concerned {
		looks.Go(func() error { return w.examine(ctx, p, g, batch) })
	}
	return looks.Wait()
}

func (w *watcher) examine(ctx context.Context, p pair, g guests, batch *effects) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	entry, err := w.b.reg.LookupFresh(ctx, g.slug, g.login)
	if err != nil {
		return err
	}
	if entry.Tenant == nil || entry.Tenant.ID != p.tenant {
		return nil // gone, which its status says
	}
	var why *clientError
	known := entry.Login != nil && entry.Login.ID == p.login
	switch {
	case !known:
		why = errLoginGone(g.login)
	case !entry.Granted:
		why = errGrantGone(g.login, g.slug)
	}
	if w.b.census.bar(p, why, entry.Login) {
		w.b.log.Info(eventBarred, keyTenant, g.slug, keyUser, g.login, keyClients, g.n)
		w.b.endLogin(p, why, w.acks.expect(batch))
	}
	if known && entry.Route != nil && entry.Route.CredentialErr == nil {
		w.b.relay.Retarget(w.b.target(entry.Route))
	}
	return nil
}

// endLogin ends a pair's clients.
func (b *Broker) endLogin(p pair, why *clientError, gone func()) {
	b.relay.EndLogin(p.tag(), why.Fields(), b.cfg.SuspendGrace, gone)
}
