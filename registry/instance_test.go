package registry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

// broker opens a registry as a process that relays does.
func broker(t testing.TB, url string) *registry.Registry {
	t.Helper()
	cfg := config(t, url)
	cfg.Broker = true
	return open(t, cfg)
}

func self(t testing.TB, r *registry.Registry) registry.Instance {
	t.Helper()
	i, ok := r.Self()
	require.True(t, ok)
	return i
}

func TestInstancesHaveDifferentCancelPrefixes(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	var wg sync.WaitGroup
	all := make([]*registry.Registry, 6)
	errs := make([]error, len(all))
	cfg := config(t, url)
	cfg.Broker = true
	for i := range all {
		wg.Go(func() { all[i], errs[i] = registry.Open(t.Context(), cfg) })
	}
	wg.Wait()
	prefixes := map[int]bool{}
	for i, r := range all {
		require.NoError(t, errs[i])
		t.Cleanup(r.Close)
		prefixes[self(t, r).CancelPrefix] = true
	}
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}, prefixes)

	free := self(t, all[2]).CancelPrefix
	all[2].Close()
	require.Equal(t, free, self(t, broker(t, url)).CancelPrefix, "the row's end frees it")
}

func TestInstancesKnowEachOther(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	first := broker(t, url)
	cfg := config(t, url)
	cfg.PeerAddress = "127.0.0.1:7001"
	second := open(t, cfg)
	silent := open(t, config(t, url))
	_, ok := silent.Self()
	require.False(t, ok, "neither relays nor can be reached")

	require.NoError(t, first.SetPeerAddress(t.Context(), "127.0.0.1:7000"))
	require.NoError(t, first.SetDraining(t.Context(), true))
	all, err := silent.Instances(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "127.0.0.1:7000", all[0].PeerAddress)
	require.True(t, all[0].Draining)
	require.True(t, all[0].Broker)
	require.Equal(t, self(t, first).ID, all[0].ID)
	require.Equal(t, "127.0.0.1:7001", all[1].PeerAddress)
	require.False(t, all[1].Broker)
	require.Zero(t, all[1].CancelPrefix)
	require.Equal(t, self(t, second).ID, all[1].ID)
	for _, i := range all {
		require.True(t, i.Live)
	}
}

func TestInstanceThatIsSilentIsNotLive(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	admin := open(t, config(t, url))
	wired, w := through(t, url)
	inst := broker(t, wired)
	only := func() registry.Instance {
		all, err := admin.Instances(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0]
	}
	require.True(t, only().Live)
	w.stall()
	start := time.Now()
	soon(t, "two seconds after its last heartbeat", func() bool { return !only().Live })
	require.Less(t, time.Since(start), 4*time.Second)
	w.mend()
	soon(t, "it is back", func() bool { return only().Live })
	require.Equal(t, self(t, inst).ID, only().ID)
}

func TestInstanceWhoseRowIsGoneComesBackWithItsPrefix(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	db := connect(t, url)
	broker(t, url)
	second := broker(t, url)
	was := self(t, second)
	require.Equal(t, 2, was.CancelPrefix)
	exec(t, db, "DELETE FROM dermaga.instances")
	soon(t, "both are back", func() bool {
		all, err := second.Instances(t.Context())
		return err == nil && len(all) == 2
	})
	now := self(t, second)
	require.Equal(t, was.ID, now.ID)
	require.Equal(t, was.CancelPrefix, now.CancelPrefix)
}

func TestRowsOfDeadInstancesAreClearedAway(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	db := connect(t, url)
	// This cluster has not run for ten minutes, and nobody is dead before it has.
	exec(t, db, `CREATE OR REPLACE FUNCTION dermaga.heard(heartbeat_at timestamptz) RETURNS timestamptz LANGUAGE sql AS 'SELECT heartbeat_at'`)
	exec(t, db, `INSERT INTO dermaga.instances (id, peer_address, broker, cancel_prefix, heartbeat_at)
		VALUES (gen_random_uuid(), 'old', true, 1, now() - interval '11 minutes'), (gen_random_uuid(), 'new', true, 2, now() - interval '9 minutes')`)
	r := broker(t, url)
	all, err := r.Instances(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, 1, self(t, r).CancelPrefix)
}

func TestNoMorePrefixesThanThereAre(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	exec(t, connect(t, url), `INSERT INTO dermaga.instances (id, peer_address, broker, cancel_prefix)
		SELECT gen_random_uuid(), '', true, p FROM generate_series(1, 1023) p`)
	require.Zero(t, self(t, broker(t, url)).CancelPrefix, "it works all the same")
}
