package broker

import (
	"context"
	"sync"
	"time"

	"github.com/nusajournal/dermaga/registry"
)

// A watcher makes what the registry says of tenants and logins true for the
// clients that are here already; who logs in asks the registry himself. It acts
// on announced changes, and asks for the statuses of all tenants that have
// clients once a second as well, since an announcement can be lost.
//
// A client is counted in the census before its route is looked up for the last
// time, and the watcher looks at the census after a change was announced: so one
// of the two sees the change, whatever the order.
//
// One goroutine; what others may touch is behind mu.
type watcher struct {
	b    *Broker
	acks acks
	wake chan struct{}

	mu       sync.Mutex
	noted    notes              // since the last round
	barriers map[string]barrier // by tenant id: those whose clients are not simply served
	late     bool               // the registry did not answer the last question
}

// A barrier is a status that was applied to a tenant's clients.
type barrier struct {
	registry.TenantState
	quiet bool // its effects have happened
}

// notes are announced changes, together.
type notes struct {
	changes    []int64
	everything bool
	tenants    map[string]bool // by id
	logins     map[string]bool // by id
	routes     map[string]bool // by tenant id: how it is reached, or its limits
	allRoutes  bool
}

// watchEvery is how often statuses are asked for without an announcement.
const watchEvery = time.Second

func newWatcher(b *Broker) *watcher {
	w := &watcher{b: b, wake: make(chan struct{}, 1), barriers: map[string]barrier{}}
	w.acks.tell = b.reg.Acknowledge
	return w
}

// note takes down a change. It is called by the registry's listener and does not
// block.
func (w *watcher) note(ch registry.Change) {
	w.acks.hear(ch.ID)
	w.mu.Lock()
	w.noted.add(ch)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (n *notes) add(ch registry.Change) {
	n.changes = append(n.changes, ch.ID)
	mark := func(set *map[string]bool) {
		if *set == nil {
			*set = map[string]bool{}
		}
		(*set)[ch.EntityID] = true
	}
	switch ch.Entity {
	case "tenants":
		mark(&n.tenants)
		mark(&n.routes)
	case "credentials":
		mark(&n.routes)
	case "logins", "login_grants":
		mark(&n.logins)
	case "servers", "plans":
		n.allRoutes = true
	case "login_verifiers", "mark": // who is here has proven himself; a mark only wants an answer
	default: // "*", and what a newer release may announce
		n.everything, n.allRoutes = true, true
	}
}

// take empties the notes.
func (w *watcher) take() notes {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.noted
	w.noted = notes{}
	return n
}

// giveBack puts notes back that could not be acted upon.
func (w *watcher) giveBack(n notes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted.changes = append(n.changes, w.noted.changes...)
	w.noted.everything, w.noted.allRoutes = true, true
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	so := w.b.reg.Stats().SeenChange // nobody is here whom it could concern
	w.acks.hear(so)
	w.round(ctx, notes{changes: []int64{so}}, true)
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-tick.C:
			all = true
		}
		w.round(ctx, w.take(), all)
	}
}

// askTimeout bounds one question to the registry: an answer that takes longer
// is worth less than the next question.
const askTimeout = 2 * time.Second

// round acts on n; all means every tenant that has clients.
func (w *watcher) round(ctx context.Context, n notes, all bool) {
	if n.everything || n.allRoutes || len(n.routes) > 0 {
		w.b.upstreams.forgive()
	}
	ids := w.concerned(n, all || n.everything)
	var states map[string]registry.TenantState
	if len(ids) > 0 {
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		var err error
		states, err = w.b.reg.TenantStates(ask, ids)
		cancel()
		if w.failed(ctx, err) {
			w.giveBack(n)
			w.b.changes.announce() // who waits asks for himself
			return
		}
	}
	batch := w.acks.begin(n.changes)
	defer w.acks.end(batch)
	for _, id := range ids {
		state, ok := states[id]
		if !ok {
			state = registry.TenantState{ID: id, Slug: w.b.census.slug(id), Status: registry.Deleted} // purged
		}
		w.apply(state, batch)
	}
	if err := w.examineLogins(ctx, n, batch); w.failed(ctx, err) {
		w.giveBack(n)
		w.acks.withdraw(batch)
	}
	w.b.changes.announce()
}

// failed reports whether the registry did not answer, and logs when that
// changes.
func (w *watcher) failed(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return err != nil
	}
	w.mu.Lock()
	before := w.late
	w.late = err != nil
	w.mu.Unlock()
	if err != nil && !before {
		w.b.log.Warn(eventStatusLate, keyError, err)
	}
	return err != nil
}
