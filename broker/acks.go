package broker

import "sync"

// acks tells the registry which of its changes have had their effect here. A
// change counts when all effects of its batch have happened and of those before
// it; what is told is the greatest number below which nothing is left to do
// (ids come in the order of commits, not in their own). Safe for concurrent use.
type acks struct {
	tell func(change int64) // must not block: it may be called from a loop

	mu      sync.Mutex
	pending map[int64]struct{} // heard, and not done
	done    int64              // greatest that is
	open    []*effects         // oldest first
}

// effects are what a batch of changes asks for. Guarded by acks.mu.
type effects struct {
	changes []int64
	left    int
}

// hear notes a change as one that is still to be done.
func (a *acks) hear(change int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending == nil {
		a.pending = map[int64]struct{}{}
	}
	a.pending[change] = struct{}{}
}

// begin opens a batch, which its maker closes with end.
func (a *acks) begin(changes []int64) *effects {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &effects{changes: changes, left: 1}
	a.open = append(a.open, e)
	return e
}

// expect adds one effect to an open batch. It happens when the function that is
// returned is called, once.
func (a *acks) expect(e *effects) (happened func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.left++
	return sync.OnceFunc(func() { a.end(e) })
}

// withdraw leaves the batch's changes undone: they will come in another one.
func (a *acks) withdraw(e *effects) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.changes = nil
}

// end is one effect less to wait for.
func (a *acks) end(e *effects) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.left--
	news := false
	for len(a.open) > 0 && a.open[0].left == 0 {
		for _, change := range a.open[0].changes {
			delete(a.pending, change)
			a.done = max(a.done, change)
			news = true
		}
		a.open = a.open[1:]
	}
	if !news {
		return
	}
	seen := a.done
	for change := range a.pending {
		seen = min(seen, change-1)
	}
	a.tell(seen)
}
