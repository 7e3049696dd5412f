package registry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

// A log that may be read while it is written.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// An instance that looks up through a wire, beside an admin with a line of its own.
func instance(t *testing.T, change func(*registry.Config)) (admin, inst *registry.Registry, w *wire, out *log) {
	t.Helper()
	dsn := migrated(t)
	admin = open(t, config(t, dsn))
	addServer(t, admin, "main", "db1")
	out = &log{}
	wired, w := through(t, dsn)
	cfg := config(t, wired)
	cfg.Log = slog.New(slog.NewTextHandler(out, nil))
	cfg.CacheTTL, cfg.NegativeTTL = time.Hour, time.Hour // what is dropped is dropped by a change
	if change != nil {
		change(&cfg)
	}
	return admin, open(t, cfg), w, out
}

// settled waits until inst has seen every change there is.
func settled(t *testing.T, admin, inst *registry.Registry) {
	t.Helper()
	var newest int64
	require.NoError(t, admin.Pool().QueryRow(t.Context(), "SELECT max(id) FROM dermaga.changes").Scan(&newest))
	soon(t, "all changes have arrived", func() bool { return inst.Stats().SeenChange >= newest })
}

func TestAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	served(t, admin, "a")
	settled(t, admin, inst)
	first := lookup(t, inst, "a", "app")
	lookup(t, inst, "nowhere", "app")
	misses := inst.Stats().Misses
	for range 10 {
		require.Equal(t, first, lookup(t, inst, "a", "app"))
		lookup(t, inst, "nowhere", "app")
	}
	s := inst.Stats()
	require.Equal(t, misses, s.Misses)
	require.EqualValues(t, 20, s.Hits)
	require.Equal(t, 1, s.Known)
	require.Equal(t, 1, s.Unknown)
}

func TestEveryChangeReachesTheCacheWithinASecond(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	db := admin.Pool()
	tn := served(t, admin, "a")
	served(t, admin, "b")
	exec := func(sql string, args ...any) func() {
		return func() {
			_, err := db.Exec(t.Context(), sql, args...)
			require.NoError(t, err)
		}
	}
	see := func(f func(registry.Entry) bool) func() bool {
		return func() bool { return f(lookup(t, inst, "a", "app")) }
	}
	for _, c := range []struct {
		name string
		do   func()
		seen func() bool
	}{
		{"tenant created", func() { created := served(t, admin, "new"); require.NotEmpty(t, created.ID) }, func() bool {
			e := lookup(t, inst, "new", "app")
			return e.Route != nil && e.Route.Status == registry.Active
		}},
		{"status", func() { setStatus(t, admin, tn.ID, registry.Suspended) }, see(func(e registry.Entry) bool { return e.Route.Status == registry.Suspended })},
		{"credential", func() {
			require.NoError(t, admin.PutCredential(t.Context(), registry.Credential{TenantID: tn.ID, Kind: registry.App, Generation: 2, Role: "r2", Password: "pw2"}))
		}, see(func(e registry.Entry) bool { return e.Route.Password == "pw2" })},
		{"login", exec("UPDATE dermaga.logins SET pool_mode = 'session' WHERE tenant_id = $1", tn.ID), see(func(e registry.Entry) bool { return e.Route.PoolMode == "session" })},
		{
			"verifier", exec("DELETE FROM dermaga.login_verifiers WHERE login_id IN (SELECT id FROM dermaga.logins WHERE tenant_id = $1)", tn.ID),
			see(func(e registry.Entry) bool { return len(e.Login.Verifiers) == 0 }),
		},
		{"server", exec("UPDATE dermaga.servers SET host = 'db2'"), see(func(e registry.Entry) bool { return e.Route.Server.Host == "db2" })},
		{"plan", exec("UPDATE dermaga.plans SET server_connections = 11 WHERE name = 'STARTER'"), see(func(e registry.Entry) bool { return e.Route.PoolSize == 11 })},
		{"login removed", exec("DELETE FROM dermaga.logins WHERE tenant_id = $1", tn.ID), see(func(e registry.Entry) bool { return e.Login == nil })},
	} {
		lookup(t, inst, "a", "app")
		lookup(t, inst, "new", "app")
		start := time.Now()
		c.do()
		soon(t, c.name, c.seen)
		t.Logf("%s: seen after %v", c.name, time.Since(start).Round(time.Millisecond))
	}
	require.NotNil(t, lookup(t, inst, "b", "app").Route)
}

func TestChangeDropsOnlyWhatItConcerns(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	a := served(t, admin, "a")
	served(t, admin, "b")
	settled(t, admin, inst)
	lookup(t, inst, "a", "app")
	lookup(t, inst, "b", "app")
	setStatus(t, admin, a.ID, registry.Suspended)
	soon(t, "a is dropped", func() bool { return inst.Stats().Known == 1 })
	misses := inst.Stats().Misses
	lookup(t, inst, "b", "app")
	require.Equal(t, misses, inst.Stats().Misses)
}

func TestObserversHearEachChangeOnce(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	var mu sync.Mutex
	var got []registry.Change
	inst.OnChange(func(c registry.Change) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, c)
	})
	tn := create(t, admin, "a")
	setStatus(t, admin, tn.ID, registry.Active)
	soon(t, "two changes", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 2 })
	probed := inst.Stats().Changes
	create(t, admin, "b") // and by the time the third is here, probes have looked at the two again
	soon(t, "three changes", func() bool { return inst.Stats().Changes > probed })
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, got, 3)
	for _, c := range got[:2] {
		require.Equal(t, "tenants", c.Entity)
		require.Equal(t, tn.ID, c.EntityID)
	}
	require.Less(t, got[0].ID, got[1].ID)
}

func TestRegistryDownKnownTenantsGoOn(t *testing.T) {
	t.Parallel()
	admin, inst, w, out := instance(t, nil)
	served(t, admin, "a")
	want := lookup(t, inst, "a", "app")
	w.sever()
	soon(t, "the channel is known to be lost", func() bool { return !inst.Stats().Listening })
	for range 50 {
		require.Equal(t, want, lookup(t, inst, "a", "app"))
	}
	require.GreaterOrEqual(t, inst.Stats().Stale, uint64(50))
	_, err := inst.Lookup(t.Context(), "b", "app")
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = inst.LookupFresh(t.Context(), "a", "app")
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.Equal(t, 1, out.count("registry_down"), "said once, not per look-up")

	w.mend()
	soon(t, "it is back", func() bool {
		_, err := inst.Lookup(t.Context(), "b", "app")
		return err == nil && inst.Stats().Listening && !inst.Stats().Down
	})
	require.Equal(t, 1, out.count("registry_up"))
}

func TestStaleAnswersEnd(t *testing.T) {
	t.Parallel()
	admin, inst, w, _ := instance(t, func(c *registry.Config) { c.StaleMax = 300 * time.Millisecond })
	served(t, admin, "a")
	lookup(t, inst, "a", "app")
	w.sever()
	soon(t, "too old to stand in", func() bool {
		_, err := inst.Lookup(t.Context(), "a", "app")
		return err != nil
	})
	_, err := inst.Lookup(t.Context(), "a", "app")
	require.ErrorIs(t, err, registry.ErrUnavailable)
}

func TestChangesDuringAnOutageAreCaughtUp(t *testing.T) {
	t.Parallel()
	admin, inst, w, _ := instance(t, nil)
	a := served(t, admin, "a")
	served(t, admin, "b")
	settled(t, admin, inst)
	lookup(t, inst, "a", "app")
	lookup(t, inst, "b", "app")
	heard := make(chan registry.Change, 100)
	inst.OnChange(func(c registry.Change) { heard <- c })

	w.sever()
	soon(t, "lost", func() bool { return !inst.Stats().Listening })
	setStatus(t, admin, a.ID, registry.Suspended)
	w.mend()
	soon(t, "found again", func() bool { return inst.Stats().Listening })
	require.Equal(t, registry.Suspended, lookup(t, inst, "a", "app").Route.Status, "at once: the channel opens after catching up")
	misses := inst.Stats().Misses
	lookup(t, inst, "b", "app")
	require.Equal(t, misses, inst.Stats().Misses, "b did not change and is still remembered")
	require.Equal(t, a.ID, (<-heard).EntityID)
}

// While any transaction of the cluster runs, changes from before the start are
// met again and again.
func TestChangesFromBeforeTheStartAreOld(t *testing.T) {
	t.Parallel()
	dsn := migrated(t)
	admin := open(t, config(t, dsn))
	tx, err := admin.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT pg_current_xact_id()")
	require.NoError(t, err)
	addServer(t, admin, "main", "db1")
	inst := open(t, config(t, dsn))
	served(t, admin, "a")
	settled(t, admin, inst)
	changes := inst.Stats().Changes
	lookup(t, inst, "a", "app")
	seen := inst.Stats().Probes
	soon(t, "probed", func() bool { return inst.Stats().Probes >= seen+2 })
	require.Equal(t, changes, inst.Stats().Changes)
	require.Equal(t, 1, inst.Stats().Known)
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestTrimmedChangesMakeEverythingDoubtful(t *testing.T) {
	t.Parallel()
	admin, inst, w, _ := instance(t, nil)
	a := served(t, admin, "a")
	lookup(t, inst, "a", "app")
	heard := make(chan registry.Change, 100)
	w.sever()
	soon(t, "lost", func() bool { return !inst.Stats().Listening })
	inst.OnChange(func(c registry.Change) { heard <- c })
	setStatus(t, admin, a.ID, registry.Suspended)
	_, err := admin.Pool().Exec(t.Context(), "DELETE FROM dermaga.changes")
	require.NoError(t, err)
	w.mend()
	require.Equal(t, "*", (<-heard).Entity)
	require.Equal(t, registry.Suspended, lookup(t, inst, "a", "app").Route.Status)
}

// A transaction that began before the outage and commits during it has an id
// that is lower than the newest one seen.
func TestLateCommitWithALowIDIsNotSkipped(t *testing.T) {
	t.Parallel()
	admin, inst, w, _ := instance(t, nil)
	a, b := served(t, admin, "a"), served(t, admin, "b")
	tx, err := admin.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE dermaga.tenants SET status = 'SUSPENDED' WHERE id = $1", a.ID)
	require.NoError(t, err)
	setStatus(t, admin, b.ID, registry.Suspended) // a later id, seen first
	soon(t, "b is seen", func() bool { return lookup(t, inst, "b", "app").Route.Status == registry.Suspended })
	require.Equal(t, registry.Active, lookup(t, inst, "a", "app").Route.Status)

	w.sever()
	soon(t, "lost", func() bool { return !inst.Stats().Listening })
	require.NoError(t, tx.Commit(t.Context()))
	w.mend()
	soon(t, "found again", func() bool { return inst.Stats().Listening })
	require.Equal(t, registry.Suspended, lookup(t, inst, "a", "app").Route.Status)
}

func TestHalfOpenChannelIsNoticedSoon(t *testing.T) {
	t.Parallel()
	admin, inst, w, _ := instance(t, nil)
	served(t, admin, "a")
	lookup(t, inst, "a", "app")
	w.stall()
	start := time.Now()
	soon(t, "noticed", func() bool { return !inst.Stats().Listening })
	require.Less(t, time.Since(start), 5*time.Second, "a probe a second, given up after one more")
}

func TestChangeBehindAHalfOpenChannelArrivesSoon(t *testing.T) {
	t.Parallel()
	admin, inst, w, _ := instance(t, nil)
	a := served(t, admin, "a")
	settled(t, admin, inst)
	heard := make(chan time.Time, 100)
	inst.OnChange(func(registry.Change) { heard <- time.Now() })
	lookup(t, inst, "a", "app")
	w.hang()
	start := time.Now()
	setStatus(t, admin, a.ID, registry.Suspended)
	took := (<-heard).Sub(start)
	t.Logf("told after %v", took.Round(time.Millisecond))
	require.Less(t, took, 4*time.Second, "half a second until the next round, and half of one that is not answered")
	require.Equal(t, registry.Suspended, lookup(t, inst, "a", "app").Route.Status)
	require.Less(t, time.Since(start), 5*time.Second, "look-ups have new connections too")
}

// A NOTIFY that was lost, which PostgreSQL does not do, is made up for by the probe.
func TestProbeFindsWhatNoNotificationTold(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	a := served(t, admin, "a")
	soon(t, "active", func() bool { return lookup(t, inst, "a", "app").Route.Status == registry.Active })
	db := admin.Pool()
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	for _, sql := range []string{
		"ALTER TABLE dermaga.tenants DISABLE TRIGGER announce",
		"UPDATE dermaga.tenants SET status = 'SUSPENDED'",
		"INSERT INTO dermaga.changes (entity, entity_id) SELECT 'tenants', id FROM dermaga.tenants",
		"ALTER TABLE dermaga.tenants ENABLE TRIGGER announce",
	} {
		_, err = tx.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))
	soon(t, "seen by the probe", func() bool { return lookup(t, inst, "a", "app").Route.Status == registry.Suspended })
	require.NotEmpty(t, a.ID)
}

func TestOddNotificationMakesEverythingDoubtful(t *testing.T) {
	t.Parallel()
	admin, inst, _, out := instance(t, nil)
	served(t, admin, "a")
	lookup(t, inst, "a", "app")
	_, err := admin.Pool().Exec(t.Context(), "NOTIFY dermaga_changes, 'nonsense'")
	require.NoError(t, err)
	soon(t, "said", func() bool { return out.count("registry_notification_odd") == 1 })
	require.NotNil(t, lookup(t, inst, "a", "app").Route)
}
