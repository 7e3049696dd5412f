package broker

import "sync"

// acks tells the registry which of its changes have had their effect here: in
// the order of the changes, each when all effects of it and of those before it
// have happened. Safe for concurrent use.
type acks struct {
	tell func(change int64) // must not block: it may be called from a loop

	mu   sync.Mutex
	open []*effects // oldest first
}

// effects are what a batch of changes asks for. Guarded by acks.mu.
type effects struct {
	change int64 // the newest of the batch
	left   int
}

// begin opens a batch, which its maker closes with done.
func (a *acks) begin(change int64) *effects {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &effects{change: change, left: 1}
	a.open = append(a.open, e)
	return e
}

// expect adds one effect to an open batch. It happens when the function that is
// returned is called, once.
func (a *acks) expect(e *effects) (happened func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.left++
	return sync.OnceFunc(func() { a.done(e) })
}

// withdraw leaves the batch's changes unacknowledged: they will come again with a
// later one.
func (a *acks) withdraw(e *effects) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.change = 0
}

func (a *acks) done(e *effects) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.left--
	newest := int64(0)
	for len(a.open) > 0 && a.open[0].left == 0 {
		newest = max(newest, a.open[0].change)
		a.open = a.open[1:]
	}
	if newest > 0 {
		a.tell(newest)
	}
}
