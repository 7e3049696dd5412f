package registry

import (
	"context"
	"fmt"
	"sync"
)

// A bell wakes the listener before its time, for what should be written now. Safe
// for concurrent use.
type bell struct {
	mu      sync.Mutex
	rung    bool
	wake    context.CancelFunc // ends the listener's wait; nil: it does not wait
	callers []chan struct{}    // closed when the listener has done its round
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = true
	if b.wake != nil {
		b.wake()
	}
}

// call rings, and returns what is closed when a round that began after it is done.
func (b *bell) call() <-chan struct{} {
	done := make(chan struct{})
	b.mu.Lock()
	b.callers = append(b.callers, done)
	b.mu.Unlock()
	b.ring()
	return done
}

// hang lets ring end a wait with wake, at once if somebody has rung.
func (b *bell) hang(wake context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = wake
	if b.rung {
		wake()
	}
}

// answer begins a round. The function that it returns ends it: if all went well,
// the callers are told, else they wait for the next one.
func (b *bell) answer() func(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	callers := b.callers
	b.rung, b.wake, b.callers = false, nil, nil
	return func(ok bool) {
		if ok {
			for _, done := range callers {
				close(done)
			}
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.callers = append(callers, b.callers...)
	}
}

// nextTick waits until the listener has done a round.
func (r *Registry) nextTick(ctx context.Context, attempt string) error {
	select {
	case <-r.bell.call():
		return nil
	case <-r.life.Done():
		return fmt.Errorf("%s: %w: it is closed", attempt, ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w: %w", attempt, ErrUnavailable, context.Cause(ctx))
	}
}
