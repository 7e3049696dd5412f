package registry_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

var statuses = []registry.Status{registry.Provisioning, registry.Migrating, registry.Active, registry.Suspended, registry.Deleted}

// pathTo says how a new tenant reaches a status.
var pathTo = map[registry.Status][]registry.Status{
	registry.Migrating: {registry.Migrating},
	registry.Active:    {registry.Active},
	registry.Suspended: {registry.Suspended},
	registry.Deleted:   {registry.Deleted},
}

func TestStatusChangesAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	allowed := map[registry.Status][]registry.Status{
		registry.Provisioning: {registry.Migrating, registry.Active, registry.Suspended, registry.Deleted},
		registry.Migrating:    {registry.Active, registry.Suspended},
		registry.Active:       {registry.Migrating, registry.Suspended, registry.Deleted},
		registry.Suspended:    {registry.Active, registry.Migrating, registry.Provisioning, registry.Deleted},
		registry.Deleted:      {registry.Suspended},
	}
	r := fresh(t)
	n := 0
	for _, from := range statuses {
		for _, to := range statuses {
			n++
			tn := create(t, r, "t"+string(rune('a'+n)))
			for _, step := range pathTo[from] {
				setStatus(t, r, tn.ID, step)
			}
			err := r.SetStatus(t.Context(), tn.ID, to, registry.Act{Actor: "test"})
			got, readErr := r.TenantByID(t.Context(), tn.ID)
			require.NoError(t, readErr)
			ok := false
			for _, a := range allowed[from] {
				ok = ok || a == to
			}
			if ok {
				require.NoError(t, err, "%s to %s", from, to)
				require.Equal(t, to, got.Status)
				continue
			}
			require.ErrorIs(t, err, registry.ErrTransition, "%s to %s", from, to)
			require.ErrorContains(t, err, "cannot go from "+string(from)+" to "+string(to))
			require.Equal(t, from, got.Status)
		}
	}
}

func TestStatusChangeLeavesItsReasonAndActivity(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	require.NoError(t, r.SetStatus(t.Context(), tn.ID, registry.Suspended, registry.Act{Actor: "ani", Message: "unpaid"}))
	got, err := r.TenantByID(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Equal(t, "unpaid", got.StatusReason)
	require.Greater(t, got.Version, tn.Version)
	acts, err := r.Activities(t.Context(), tn.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "tenant.status", acts[0].Action)
	require.Equal(t, "ani", acts[0].Actor)
	require.Equal(t, "PROVISIONING to SUSPENDED: unpaid", acts[0].Message)

	require.NoError(t, r.SetStatus(t.Context(), tn.ID, registry.Active, registry.Act{}))
	got, err = r.TenantByID(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Empty(t, got.StatusReason)
	require.Nil(t, got.DeletedAt)
}

func TestStatusChangeByVersion(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	setStatus(t, r, tn.ID, registry.Active)
	err := r.SetStatus(t.Context(), tn.ID, registry.Suspended, registry.Act{Version: tn.Version})
	require.ErrorIs(t, err, registry.ErrConflict)
	require.NoError(t, r.SetStatus(t.Context(), tn.ID, registry.Suspended, registry.Act{Version: tn.Version + 1}))
}

func TestOfManyWhoChangeAStatusOneWins(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = r.SetStatus(t.Context(), tn.ID, registry.Active, registry.Act{}) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, registry.ErrTransition)
	}
	require.Equal(t, 1, won)
	acts, err := r.Activities(t.Context(), tn.ID, 100)
	require.NoError(t, err)
	require.Len(t, acts, 2, "creation and one change")
}

func TestTheDatabaseGuardsWhatBypassesSetStatus(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r, db := open(t, config(t, url)), connect(t, url)
	addServer(t, r, "main", "db")
	tn := create(t, r, "a")
	_, err := db.Exec(t.Context(), "UPDATE dermaga.tenants SET status = 'MIGRATING', status = 'MIGRATING' WHERE id = $1", tn.ID)
	require.Error(t, err)
	exec(t, db, "UPDATE dermaga.tenants SET status = 'MIGRATING' WHERE id = $1", tn.ID)
	_, err = db.Exec(t.Context(), "UPDATE dermaga.tenants SET status = 'PROVISIONING' WHERE id = $1", tn.ID)
	require.ErrorContains(t, err, "cannot go from MIGRATING to PROVISIONING")
	for _, sql := range []string{
		"UPDATE dermaga.activities SET message = 'x'", "DELETE FROM dermaga.activities", "TRUNCATE dermaga.activities",
	} {
		_, err = db.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "append-only", sql)
	}
}

func TestPurgedTenantFreesItsSlugAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r, db := open(t, config(t, url)), connect(t, url)
	addServer(t, r, "main", "db")
	tn := create(t, r, "a")
	setStatus(t, r, tn.ID, registry.Deleted)
	_, err := r.CreateTenant(t.Context(), registry.NewTenant{Slug: "a"})
	require.ErrorIs(t, err, registry.ErrSlugTaken, "within its grace period")

	exec(t, db, "UPDATE dermaga.tenants SET purged_at = now() WHERE id = $1", tn.ID)
	again := create(t, r, "a")
	require.NotEqual(t, tn.ID, again.ID)
	require.ErrorIs(t, r.SetStatus(t.Context(), tn.ID, registry.Suspended, registry.Act{}), registry.ErrTransition)
}
