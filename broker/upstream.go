package broker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgerrcode"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry"
)

// upstreams remembers servers that did not let the broker in. A reason that
// passes by itself (a server that starts, a connection that broke) is for the
// relay to wait out. Any other would be the same a moment later: until retry is
// over, or the registry has changed, the server is not asked again, whoever
// comes. A password that was changed by hand is repaired. Safe for concurrent
// use.
type upstreams struct {
	retry  time.Duration
	repair func(context.Context, *registry.Route) error // nil: nobody does

	mu    sync.Mutex
	known map[string]*refusedTarget // by Target.Key
}

// refusedTarget is one that could not be logged in to at the last try, or whose
// password was repaired.
type refusedTarget struct {
	err      error
	at       time.Time
	until    time.Time     // not asked before; zero: no reason to wait
	mending  chan struct{} // closed when the repair under way is over; nil: none is
	mended   time.Time     // when a repair last ended
	mendedOK bool
}

const (
	// mendPause is how long a repaired password must have held before it is
	// repaired again: two who set it by turns must not be fought for ever.
	mendPause = time.Minute
	// mendTimeout bounds a repair.
	mendTimeout = 30 * time.Second
	// failureKept is how long a target that is not asked for is remembered.
	failureKept = 10 * time.Minute
)

func newUpstreams(cfg Config) *upstreams {
	return &upstreams{retry: cfg.ServerLoginRetry, repair: cfg.Repair, known: map[string]*refusedTarget{}}
}

// open opens a server of route, whose target's key it is, with further startup
// parameters.
func (b *Broker) open(ctx context.Context, key string, route *registry.Route, startup map[string]string) (*relay.Server, error) {
	if err := b.upstreams.recall(key); err != nil {
		return nil, &recalledError{err}
	}
	began := time.Now()
	server, err := b.dialer.dial(ctx, route, startup)
	if wrongPassword(err) && b.upstreams.repair != nil {
		ours, mended := b.upstreams.mend(ctx, key, route, began)
		if mended == nil {
			server, err = b.dialer.dial(ctx, route, startup)
		}
		if ours {
			b.logRepair(route, mended, err)
		}
	}
	if err != nil {
		b.counters.refusedBy(err)
		if b.upstreams.note(key, err) {
			b.log.Error(eventServerRefused, keyTenant, route.Slug, keyRole, route.Role, keyServer, route.Server.Name, keyError, err)
		}
		if status := b.statusBehind(ctx, route, err); status != nil {
			return nil, status
		}
		return nil, err
	}
	b.upstreams.worked(key)
	return server, nil
}

// A recalledError is one that a server gave before, and was not asked for again.
type recalledError struct{ error }

func (e *recalledError) Unwrap() error { return e.error }

// statusBehind asks what has become of the tenant whose server has no connection
// for it: a suspended or deleted tenant's database is closed at PostgreSQL too, and
// that may be heard before the registry's change. nil: nothing has.
func (b *Broker) statusBehind(ctx context.Context, route *registry.Route, err error) error {
	var refused *serverError
	if !errors.As(err, &refused) || refused.Code != pgerrcode.TooManyConnections && refused.Code != pgerrcode.ObjectNotInPrerequisiteState {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	states, err := b.reg.TenantStates(ctx, []string{route.TenantID})
	if err != nil {
		return nil // the server's own words then
	}
	switch state, ok := states[route.TenantID]; {
	case !ok || state.Status == registry.Deleted:
		return errNoTenant(route.Slug)
	case state.Status == registry.Suspended:
		return errSuspended(route.Slug, state.Reason)
	}
	return nil
}

func (b *Broker) logRepair(route *registry.Route, mended, dialled error) {
	switch {
	case mended != nil:
		b.counters.repairErrors.Add(1)
		b.log.Error(eventRepairFailed, keyTenant, route.Slug, keyRole, route.Role, keyError, mended)
	case dialled == nil:
		b.counters.repairs.Add(1)
		b.log.Warn(eventRepaired, keyTenant, route.Slug, keyRole, route.Role)
	}
}

// wrongPassword reports whether a server said that the role's password is not
// the one that is sealed in the registry.
func wrongPassword(err error) bool {
	var refused *serverError
	return errors.As(err, &refused) && refused.Code == pgerrcode.InvalidPassword
}

// passes reports whether what kept the broker from logging in will be over by
// itself: the server restarts, or a connection to it broke.
func passes(err error) bool {
	var refused *serverError
	if errors.As(err, &refused) {
		switch refused.Code {
		case pgerrcode.CannotConnectNow, pgerrcode.AdminShutdown, pgerrcode.CrashShutdown:
			return true
		}
		return false
	}
	for _, broken := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF,
		fs.ErrNotExist, // a Unix-domain socket while the server is down
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// lasting reports whether a server has given a reason that will be the same a
// moment later. It has no connection free just now is none.
func lasting(err error) bool {
	var refused *serverError
	return errors.As(err, &refused) && !passes(err) && refused.Code != pgerrcode.TooManyConnections
}

// recall returns why the target need not be asked now, or nil.
func (u *upstreams) recall(key string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.known[key]; t != nil && time.Now().Before(t.until) {
		return t.err
	}
	return nil
}

// last is what the last try failed with, nil when it worked.
func (u *upstreams) last(key string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.known[key]; t != nil {
		return t.err
	}
	return nil
}

// target finds or makes the memory of a target. The caller holds mu.
func (u *upstreams) target(key string) *refusedTarget {
	t := u.known[key]
	if t == nil {
		t = &refusedTarget{}
		u.known[key] = t
	}
	return t
}

// note remembers why a dial failed, and reports whether the reason lasts.
func (u *upstreams) note(key string, err error) (lasts bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.target(key)
	t.err, t.at, t.until = err, time.Now(), time.Time{}
	if lasting(err) {
		t.until = t.at.Add(u.retry)
	}
	return lasting(err)
}

func (u *upstreams) worked(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.known[key]
	switch {
	case t == nil:
	case time.Since(t.mended) < mendPause:
		t.err, t.until = nil, time.Time{}
	default:
		delete(u.known, key)
	}
}

// forgive lets every target be asked again: the registry has changed.
func (u *upstreams) forgive() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, t := range u.known {
		t.until = time.Time{}
		if t.mending == nil && time.Since(t.at) > failureKept && time.Since(t.mended) > mendPause {
			delete(u.known, key)
		}
	}
}

// errMended: the password was set a moment ago, and is not accepted again.
var errMended = errors.New("it was repaired a moment ago and is wrong again: somebody else sets it")

// mend has the role's password set to the one that is sealed, after it was
// refused to a dial that began at that time. Who comes while that is under way
// waits for its outcome; ours is false then.
func (u *upstreams) mend(ctx context.Context, key string, route *registry.Route, began time.Time) (ours bool, err error) {
	u.mu.Lock()
	t := u.target(key)
	if t.mendedOK && t.mended.After(began) {
		u.mu.Unlock()
		return false, nil // while we dialled
	}
	if wait := t.mending; wait != nil {
		u.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		u.mu.Lock()
		ok := t.mendedOK
		u.mu.Unlock()
		if !ok {
			return false, errors.New("the repair has failed")
		}
		return false, nil
	}
	if t.mendedOK && time.Since(t.mended) < mendPause {
		u.mu.Unlock()
		return true, errMended
	}
	over := make(chan struct{})
	t.mending = over
	u.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, mendTimeout)
	defer cancel()
	err = u.repair(ctx, route)
	u.mu.Lock()
	t.mending, t.mended, t.mendedOK = nil, time.Now(), err == nil
	u.mu.Unlock()
	close(over)
	return true, err
}
