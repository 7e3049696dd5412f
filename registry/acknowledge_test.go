package registry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

// An owner acknowledges what its registry tells it, unless it holds changes of
// an entity back.
type owner struct {
	r *registry.Registry

	mu       sync.Mutex
	greatest int64
	held     string
	pending  map[int64]bool
}

func owns(r *registry.Registry) *owner {
	o := &owner{r: r, pending: map[int64]bool{}}
	r.OnChange(func(c registry.Change) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.greatest = max(o.greatest, c.ID)
		if c.Entity == o.held {
			o.pending[c.ID] = true
		}
		o.acknowledge()
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.greatest = max(o.greatest, r.Stats().SeenChange)
	o.acknowledge()
	return o
}

// acknowledge says what is done; o.mu is held.
func (o *owner) acknowledge() {
	done := o.greatest
	for id := range o.pending {
		done = min(done, id-1)
	}
	o.r.Acknowledge(done)
}

// hold lets changes of an entity take for ever, until it is called with another.
func (o *owner) hold(entity string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = entity
	clear(o.pending)
	o.acknowledge()
}

func (o *owner) holds() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending)
}

// within returns a context for a wait that is expected to take that long or less.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func mark(t testing.TB, r *registry.Registry) int64 {
	t.Helper()
	change, err := r.LastChange(t.Context())
	require.NoError(t, err)
	return change
}

func seen(t testing.TB, r *registry.Registry, change int64, wait time.Duration) (late []registry.Instance) {
	t.Helper()
	late, err := r.WaitSeen(within(t, wait), change)
	require.NoError(t, err)
	return late
}

func TestChangeIsSeenWhenEveryBrokerHasAcknowledged(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	cfg := config(t, url)
	cfg.PeerAddress = "127.0.0.1:7000" // has a row, and does not relay
	admin := open(t, cfg)
	addServer(t, admin, "main", "db1")
	tn := create(t, admin, "a")
	require.Empty(t, seen(t, admin, mark(t, admin), time.Minute), "no brokers, nothing to wait for")

	one, two := owns(broker(t, url)), owns(broker(t, url))
	require.NotNil(t, one)
	setStatus(t, admin, tn.ID, registry.Active)
	start := time.Now()
	require.Empty(t, seen(t, admin, mark(t, admin), time.Minute))
	t.Logf("seen after %v", time.Since(start).Round(time.Millisecond))

	two.hold("tenants")
	setStatus(t, admin, tn.ID, registry.Suspended)
	change := mark(t, admin)
	late := seen(t, admin, change, 500*time.Millisecond)
	require.Len(t, late, 1)
	require.Equal(t, self(t, two.r).ID, late[0].ID)
	require.True(t, late[0].Live)
	two.hold("")
	require.Empty(t, seen(t, admin, change, time.Minute))
}

func TestBrokerThatJoinsHasSeenWhatIsThere(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	admin := open(t, config(t, url))
	addServer(t, admin, "main", "db1")
	change := mark(t, admin)
	broker(t, url)
	require.Empty(t, seen(t, admin, change, time.Minute))
}

func TestSilentBrokerIsLateAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	admin := open(t, config(t, url))
	addServer(t, admin, "main", "db1")
	wired, w := through(t, url)
	o := owns(broker(t, wired))
	w.stall()
	change := mark(t, admin)
	late := seen(t, admin, change, 200*time.Millisecond)
	require.Len(t, late, 1)
	soon(t, "it does not live any more", func() bool {
		late = seen(t, admin, change, time.Minute) // returns long before
		return len(late) == 1 && !late[0].Live
	})
	w.mend()
	require.NotNil(t, o)
	soon(t, "it catches up", func() bool { return len(seen(t, admin, change, time.Minute)) == 0 })
}

// Ids are given before commit. What was acknowledged with a later id, before the
// change was there to be seen, does not count.
func TestAcknowledgedLaterIDDoesNotCoverAnEarlierOne(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	admin := open(t, config(t, url))
	addServer(t, admin, "main", "db1")
	a, b := served(t, admin, "a"), served(t, admin, "b")
	o := owns(broker(t, url))
	tx, err := admin.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE dermaga.tenants SET status = 'SUSPENDED' WHERE id = $1", a.ID)
	require.NoError(t, err)
	setStatus(t, admin, b.ID, registry.Suspended) // has the later id
	require.Empty(t, seen(t, admin, mark(t, admin), time.Minute))
	o.hold("tenants")
	require.NoError(t, tx.Commit(t.Context()))
	change := mark(t, admin)
	soon(t, "it is told", func() bool { return o.holds() == 1 })
	require.Len(t, seen(t, admin, change, 300*time.Millisecond), 1)
	o.hold("")
	require.Empty(t, seen(t, admin, change, time.Minute))
}

// Where changes are gone, the broker is told so, and waited for as ever.
func TestAcknowledgementGoesOnAfterAGap(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	admin := open(t, config(t, url))
	addServer(t, admin, "main", "db1")
	wired, w := through(t, url)
	o := owns(broker(t, wired))
	w.sever()
	soon(t, "lost", func() bool { return !o.r.Stats().Listening })
	o.hold("*")
	change := mark(t, admin)
	mark(t, admin)
	_, err := admin.Pool().Exec(t.Context(), "DELETE FROM dermaga.changes WHERE id < (SELECT max(id) FROM dermaga.changes)")
	require.NoError(t, err)
	w.mend()
	soon(t, "everything may have changed", func() bool { return o.holds() == 1 })
	require.Len(t, seen(t, admin, change, 300*time.Millisecond), 1)
	o.hold("")
	require.Empty(t, seen(t, admin, change, time.Minute))
}

func TestMarkChangesNothing(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	served(t, admin, "a")
	settled(t, admin, inst)
	lookup(t, inst, "a", "app")
	misses := inst.Stats().Misses
	mark(t, admin)
	settled(t, admin, inst)
	lookup(t, inst, "a", "app")
	require.Equal(t, misses, inst.Stats().Misses)
}

func TestWaitSeenWithoutARegistry(t *testing.T) {
	t.Parallel()
	_, inst, w, _ := instance(t, nil)
	w.sever()
	_, err := inst.WaitSeen(within(t, 10*time.Second), 1)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = inst.LastChange(within(t, 10*time.Second))
	require.ErrorIs(t, err, registry.ErrUnavailable)
}
