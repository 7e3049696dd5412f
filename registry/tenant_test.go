package registry_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/slug"
)

func TestNewTenantIsPlacedAndNamed(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn, err := r.CreateTenant(t.Context(), registry.NewTenant{
		Slug: "pt-media-nusa", Name: "PT Media Nusa", Plan: "BUSINESS", Actor: "ani",
		Overrides: registry.Overrides{PoolSize: 3, PoolMode: "session"},
	})
	require.NoError(t, err)
	require.Equal(t, registry.Provisioning, tn.Status)
	require.Equal(t, "nusa_journal_pt_media_nusa", tn.Database)
	require.Equal(t, "main", tn.Server)
	require.Equal(t, registry.Overrides{PoolSize: 3, PoolMode: "session"}, tn.Overrides)
	require.EqualValues(t, 1, tn.Version)

	got, err := r.TenantBySlug(t.Context(), "pt-media-nusa")
	require.NoError(t, err)
	require.Equal(t, tn, got)
	got, err = r.TenantByID(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Equal(t, tn, got)

	acts, err := r.Activities(t.Context(), tn.ID, 10)
	require.NoError(t, err)
	require.Len(t, acts, 1)
	require.Equal(t, "ani", acts[0].Actor)
	require.Equal(t, "tenant.create", acts[0].Action)
	require.Equal(t, "plan BUSINESS, server main, database nusa_journal_pt_media_nusa", acts[0].Message)
}

func TestTenantThatCannotBe(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	create(t, r, "taken")
	for _, c := range []struct {
		name string
		n    registry.NewTenant
		is   error
		text string
	}{
		{"slug", registry.NewTenant{Slug: "PT"}, registry.ErrInvalid, `slug "PT" has the character 'P'`},
		{"reserved", registry.NewTenant{Slug: "metrics"}, registry.ErrInvalid, "reserved"},
		{"duplicate", registry.NewTenant{Slug: "taken"}, registry.ErrSlugTaken, `"taken"`},
		{"plan", registry.NewTenant{Slug: "a", Plan: "GOLD"}, registry.ErrInvalid, `no plan "GOLD"`},
		{"server", registry.NewTenant{Slug: "a", Server: "nowhere"}, registry.ErrNotFound, `server "nowhere"`},
		{"prefix", registry.NewTenant{Slug: "a", Prefix: "x; drop"}, registry.ErrInvalid, "database prefix"},
		{"length", registry.NewTenant{Slug: strings.Repeat("a", 49), Prefix: "nusa_journal_x_"}, registry.ErrInvalid, "64 bytes"},
		{"pool size", registry.NewTenant{Slug: "a", Overrides: registry.Overrides{PoolSize: -1}}, registry.ErrInvalid, "negative"},
		{"pool mode", registry.NewTenant{Slug: "a", Overrides: registry.Overrides{PoolMode: "odd"}}, registry.ErrInvalid, `"odd"`},
	} {
		_, err := r.CreateTenant(t.Context(), c.n)
		require.ErrorIs(t, err, c.is, c.name)
		require.ErrorContains(t, err, c.text, c.name)
	}
	all, err := r.Tenants(t.Context(), registry.Filter{})
	require.NoError(t, err)
	require.Len(t, all, 1, "nothing half made")
}

func TestOfManyWhoWantOneSlugOneGetsIt(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = r.CreateTenant(t.Context(), registry.NewTenant{Slug: "wanted"}) })
	}
	wg.Wait()
	got := 0
	for _, err := range errs {
		if err == nil {
			got++
			continue
		}
		require.ErrorIs(t, err, registry.ErrSlugTaken)
	}
	require.Equal(t, 1, got)
}

func TestPlacementTakesTheServerWithTheFewestTenants(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r, db := open(t, config(t, url)), connect(t, url)
	_, err := r.CreateTenant(t.Context(), registry.NewTenant{Slug: "a"})
	require.ErrorIs(t, err, registry.ErrNoServer, "no server at all")

	addServer(t, r, "one", "db1")
	addServer(t, r, "two", "db2")
	exec(t, db, "UPDATE dermaga.servers SET weight = 2 WHERE name = 'two'")
	for i := range 6 {
		create(t, r, fmt.Sprintf("t%d", i))
	}
	all, err := r.Servers(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, all[0].Tenants)
	require.Equal(t, 4, all[1].Tenants)

	exec(t, db, "UPDATE dermaga.servers SET state = 'draining' WHERE name = 'one'")
	require.Equal(t, "two", create(t, r, "x1").Server)
	_, err = r.CreateTenant(t.Context(), registry.NewTenant{Slug: "x2", Server: "one"})
	require.ErrorIs(t, err, registry.ErrNoServer)
	require.ErrorContains(t, err, `server "one" is draining`)
	exec(t, db, "UPDATE dermaga.servers SET max_tenants = 5 WHERE name = 'two'")
	_, err = r.CreateTenant(t.Context(), registry.NewTenant{Slug: "x2", Server: "two"})
	require.ErrorContains(t, err, `server "two" is full`)
	_, err = r.CreateTenant(t.Context(), registry.NewTenant{Slug: "x2"})
	require.ErrorIs(t, err, registry.ErrNoServer)
}

func TestTenantsAreFiltered(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	for _, s := range []string{"b", "a", "c-1", "c"} {
		create(t, r, s)
	}
	gone := create(t, r, "gone")
	setStatus(t, r, gone.ID, registry.Deleted)
	slugs := func(f registry.Filter) (out []string) {
		all, err := r.Tenants(t.Context(), f)
		require.NoError(t, err)
		for _, tn := range all {
			out = append(out, tn.Slug)
		}
		return out
	}
	require.Equal(t, []string{"a", "b", "c", "c-1"}, slugs(registry.Filter{}))
	require.Equal(t, []string{"b", "c"}, slugs(registry.Filter{After: "a", Limit: 2}))
	require.Equal(t, []string{"gone"}, slugs(registry.Filter{Status: registry.Deleted}))
	require.Empty(t, slugs(registry.Filter{Plan: "BUSINESS"}))
	require.Len(t, slugs(registry.Filter{Server: "main", Plan: "STARTER", Status: registry.Provisioning}), 4)
}

func TestUnknownTenantIsNotFound(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	for _, id := range []string{"", "no-uuid", "00000000-0000-0000-0000-000000000000"} {
		_, err := r.TenantByID(t.Context(), id)
		require.ErrorIs(t, err, registry.ErrNotFound, id)
		require.ErrorIs(t, r.SetStatus(t.Context(), id, registry.Active, registry.Act{}), registry.ErrNotFound, id)
	}
	_, err := r.TenantBySlug(t.Context(), "nobody")
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.EqualError(t, err, `tenant "nobody": not found`)
}

// The database's own CHECK says what registry/slug says.
func TestSlugRuleIsTheSameInSQL(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	db := connect(t, url)
	exec(t, db, "INSERT INTO dermaga.servers (name, host, connection_budget) VALUES ('s', 'h', 1)")
	candidates := append(slug.Reserved(), "", "a", "7", "-", "a-", "-a", "a-b", "a--b", "A", "a_b", "é", "a b", "a\n", "a.b",
		"admins", "v11", "x-postgres", strings.Repeat("a", 48), strings.Repeat("a", 49), strings.Repeat("a", 50))
	for _, a := range []string{"a", "-", "0", "Z"} { // and every short word of these letters
		for _, b := range []string{"", "a", "-", "0", "\u00e9"} {
			for _, c := range []string{"", "a", "-", "_"} {
				candidates = append(candidates, a+b+c)
			}
		}
	}
	for i, s := range candidates {
		_, err := db.Exec(t.Context(), `INSERT INTO dermaga.tenants (slug, name, plan, server_id, database, status, deleted_at, purged_at)
			VALUES ($1, 'x', 'STARTER', 1, $2, 'DELETED', now(), now())`, s, fmt.Sprint("d", i))
		if slug.Check(s) == nil {
			require.NoError(t, err, "%q", s)
		} else {
			require.ErrorContains(t, err, "tenants_slug_rule", "%q", s)
		}
	}
	var def string
	require.NoError(t, db.QueryRow(t.Context(), "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'tenants_slug_rule'").Scan(&def))
	_, list, _ := strings.Cut(def, "ARRAY[")
	require.Equal(t, len(slug.Reserved()), strings.Count(list, "::text"), "the reserved words of %s", def)
}

func TestRoleNamesFitAndTakeTurns(t *testing.T) {
	t.Parallel()
	const id = "d9b2d63d-a233-4123-847a-7090f5a1f2c0"
	require.Equal(t, registry.Roles{App: "t_d9b2d63da2334123847a7090f5a1f2c0_app_1", ReadOnly: "t_d9b2d63da2334123847a7090f5a1f2c0_ro_1"},
		registry.RoleNames(id))
	require.Equal(t, registry.RoleName(id, registry.App, 1), registry.RoleName(id, registry.App, 3))
	require.NotEqual(t, registry.RoleName(id, registry.App, 1), registry.RoleName(id, registry.App, 2))
	require.LessOrEqual(t, len(registry.RoleName(id, registry.Owner, 2)), 63)
}

func TestPlansHaveTheirLimits(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	plans, err := r.Plans(t.Context())
	require.NoError(t, err)
	require.Len(t, plans, 3)
	starter, err := r.PlanByName(t.Context(), "STARTER")
	require.NoError(t, err)
	require.Equal(t, plans[0], starter)
	require.Equal(t, "30s", starter.StatementTimeout.String())
	require.EqualValues(t, 1<<30, starter.StorageBytes)
	require.Zero(t, plans[2].StatementTimeout)
	_, err = r.PlanByName(t.Context(), "GOLD")
	require.ErrorIs(t, err, registry.ErrNotFound)
}
