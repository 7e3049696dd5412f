package registry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

func ptr[T any](v T) *T { return &v }

func TestLimitsOfATenantDifferFromItsPlans(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := served(t, r, "a")
	act := registry.Act{Actor: "ani", Message: "asked for"}
	got, err := r.SetLimits(t.Context(), tn.ID, registry.Limits{
		Plan: "BUSINESS", PoolSize: ptr(5), MaxClients: ptr(50), MinPoolSize: ptr(2), PoolMode: ptr("session"),
	}, act)
	require.NoError(t, err)
	require.Equal(t, "BUSINESS", got.Plan)
	require.Equal(t, registry.Overrides{PoolSize: 5, MaxClients: 50, MinPoolSize: 2, PoolMode: "session"}, got.Overrides)
	e, err := r.LookupFresh(t.Context(), "a", "app")
	require.NoError(t, err)
	require.Equal(t, []int{5, 50, 2, 4}, []int{e.Route.PoolSize, e.Route.MaxClients, e.Route.MinPoolSize, e.Route.Weight})
	acts, err := r.Activities(t.Context(), tn.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "tenant.limits", acts[0].Action)
	require.Equal(t, "plan STARTER to BUSINESS, pool_size the plan's to 5, max_clients the plan's to 50, "+
		"min_pool_size the plan's to 2, pool_mode the plan's to session: asked for", acts[0].Message)

	same, err := r.SetLimits(t.Context(), tn.ID, registry.Limits{PoolSize: ptr(5)}, act)
	require.NoError(t, err)
	require.Equal(t, got.Version, same.Version, "nothing is written")

	_, err = r.Pool().Exec(t.Context(), `UPDATE dermaga.tenants SET overrides = overrides || '{"of_a_newer_release": 1}'`)
	require.NoError(t, err)
	got, err = r.SetLimits(t.Context(), tn.ID, registry.Limits{PoolSize: ptr(0), PoolMode: ptr("")}, act)
	require.NoError(t, err)
	require.Equal(t, registry.Overrides{MaxClients: 50, MinPoolSize: 2}, got.Overrides)
	var raw string
	require.NoError(t, r.Pool().QueryRow(t.Context(), "SELECT overrides::text FROM dermaga.tenants").Scan(&raw))
	require.JSONEq(t, `{"max_clients": 50, "min_pool_size": 2, "of_a_newer_release": 1}`, raw)

	got, err = r.SetPlan(t.Context(), tn.ID, "ENTERPRISE", act)
	require.NoError(t, err)
	require.Equal(t, "ENTERPRISE", got.Plan)
	require.Equal(t, 50, got.Overrides.MaxClients, "its own limits stay")
}

func TestLimitsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	for _, c := range []struct {
		name string
		l    registry.Limits
		text string
	}{
		{"plan", registry.Limits{Plan: "GOLD"}, `no plan "GOLD"`},
		{"negative", registry.Limits{PoolSize: ptr(-1)}, "negative"},
		{"mode", registry.Limits{PoolMode: ptr("odd")}, `pool mode "odd"`},
		{"least above most", registry.Limits{PoolSize: ptr(3), MinPoolSize: ptr(4)}, "min_pool_size 4 is more than the pool size 3"},
		{"least above the plan's", registry.Limits{MinPoolSize: ptr(11)}, "more than the pool size 10"},
	} {
		_, err := r.SetLimits(t.Context(), tn.ID, c.l, registry.Act{})
		require.ErrorIs(t, err, registry.ErrInvalid, c.name)
		require.ErrorContains(t, err, c.text, c.name)
	}
	_, err := r.SetPlan(t.Context(), tn.ID, "BUSINESS", registry.Act{Version: 7})
	require.ErrorIs(t, err, registry.ErrConflict)
	_, err = r.SetPlan(t.Context(), "00000000-0000-0000-0000-000000000000", "BUSINESS", registry.Act{})
	require.ErrorIs(t, err, registry.ErrNotFound)
	got, err := r.TenantByID(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Equal(t, tn, got)
}

func TestDeletedTenantComesBackSuspended(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := served(t, r, "a")
	act := registry.Act{Actor: "ani"}
	_, err := r.RestoreTenant(t.Context(), tn.ID, act)
	require.ErrorIs(t, err, registry.ErrTransition)
	require.ErrorContains(t, err, "is ACTIVE, not DELETED")
	_, err = r.DeleteTenant(t.Context(), tn.ID, -time.Hour, act)
	require.ErrorIs(t, err, registry.ErrInvalid)

	gone, err := r.DeleteTenant(t.Context(), tn.ID, 0, act)
	require.NoError(t, err)
	require.Equal(t, registry.Deleted, gone.Status)
	require.WithinDuration(t, gone.DeletedAt.Add(registry.DefaultGrace), *gone.PurgeAfter, time.Second)
	e, err := r.LookupFresh(t.Context(), "a", "app")
	require.NoError(t, err)
	require.Nil(t, e.Route)
	_, err = r.DeleteTenant(t.Context(), tn.ID, 0, act)
	require.ErrorIs(t, err, registry.ErrTransition)

	back, err := r.RestoreTenant(t.Context(), tn.ID, act)
	require.NoError(t, err)
	require.Equal(t, registry.Suspended, back.Status)
	require.Equal(t, "restored, not resumed yet", back.StatusReason)
	require.Nil(t, back.DeletedAt)
	require.Nil(t, back.PurgeAfter)
	setStatus(t, r, tn.ID, registry.Active)
	require.NotNil(t, lookup(t, r, "a", "app").Login)
}

func TestGracePeriodEnds(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	short, old := create(t, r, "short"), create(t, r, "old")
	_, err := r.DeleteTenant(t.Context(), short.ID, time.Millisecond, registry.Act{})
	require.NoError(t, err)
	setStatus(t, r, old.ID, registry.Deleted)
	_, err = r.Pool().Exec(t.Context(), "UPDATE dermaga.tenants SET purge_after = NULL, deleted_at = now() - interval '8 days' WHERE id = $1", old.ID)
	require.NoError(t, err, "as an older release leaves it")
	for _, id := range []string{short.ID, old.ID} {
		_, err = r.RestoreTenant(t.Context(), id, registry.Act{})
		require.ErrorIs(t, err, registry.ErrTransition)
		require.ErrorContains(t, err, "grace period of tenant")
		require.ErrorIs(t, r.SetStatus(t.Context(), id, registry.Suspended, registry.Act{}), registry.ErrTransition)
	}
}

func TestStatesOfManyTenants(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	a, b, gone := create(t, r, "a"), create(t, r, "b"), create(t, r, "gone")
	setStatus(t, r, a.ID, registry.Suspended)
	setStatus(t, r, gone.ID, registry.Deleted)
	_, err := r.Pool().Exec(t.Context(), "UPDATE dermaga.tenants SET purged_at = now() WHERE id = $1", gone.ID)
	require.NoError(t, err)
	states, err := r.TenantStates(t.Context(), []string{a.ID, b.ID, gone.ID, "00000000-0000-0000-0000-000000000000"})
	require.NoError(t, err)
	require.Equal(t, map[string]registry.TenantState{
		a.ID: {ID: a.ID, Slug: "a", Status: registry.Suspended, Reason: "because", Version: 2},
		b.ID: {ID: b.ID, Slug: "b", Status: registry.Provisioning, Version: 1},
	}, states)
	states, err = r.TenantStates(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, states)
}

func TestTenantsByTextAndPage(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	for i := range 5 {
		_, err := r.CreateTenant(t.Context(), registry.NewTenant{Slug: fmt.Sprintf("pt-%d", i), Name: fmt.Sprintf("PT Maju %d%%", i)})
		require.NoError(t, err)
	}
	create(t, r, "cv-jaya")
	slugs := func(f registry.Filter) (out []string) {
		found, err := r.Tenants(t.Context(), f)
		require.NoError(t, err)
		for _, tn := range found {
			out = append(out, tn.Slug)
		}
		return out
	}
	require.Equal(t, []string{"pt-0", "pt-1"}, slugs(registry.Filter{Text: "MAJU", Limit: 2}))
	require.Equal(t, []string{"pt-2", "pt-3"}, slugs(registry.Filter{Text: "MAJU", Limit: 2, After: "pt-1"}))
	require.Equal(t, []string{"cv-jaya"}, slugs(registry.Filter{Text: "v-j"}))
	require.Equal(t, []string{"pt-3"}, slugs(registry.Filter{Text: "3%"}), "no pattern")
	require.Empty(t, slugs(registry.Filter{Plan: "BUSINESS", Text: "pt"}))
}

func TestServerTakesNoMoreTenantsThanItsLimit(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r := open(t, config(t, url))
	_, err := r.AddServer(t.Context(), registry.NewServer{Name: "main", Host: "db1", MaxTenants: 3, AdminRole: "a", AdminPassword: "b"})
	require.NoError(t, err)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.CreateTenant(t.Context(), registry.NewTenant{Slug: fmt.Sprintf("t%d", i)})
		})
	}
	wg.Wait()
	refused := 0
	for _, err := range errs {
		if err != nil {
			require.ErrorIs(t, err, registry.ErrNoServer)
			refused++
		}
	}
	require.Equal(t, 5, refused)
	s, err := r.ServerByName(t.Context(), "main")
	require.NoError(t, err)
	require.Equal(t, 3, s.Tenants)
	require.Equal(t, 3, s.MaxTenants)
}
