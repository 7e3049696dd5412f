package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

func TestLookupOfATenantsLogin(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn, err := r.CreateTenant(t.Context(), registry.NewTenant{
		Slug: "a", Plan: "BUSINESS", Overrides: registry.Overrides{MaxClients: 7, MinPoolSize: 2, PoolMode: "session"},
	})
	require.NoError(t, err)
	role := registry.RoleNames(tn.ID).App
	require.NoError(t, r.PutCredential(t.Context(), registry.Credential{TenantID: tn.ID, Kind: registry.App, Generation: 1, Role: role, Password: "pw"}))
	l := putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID, Params: map[string]string{"TimeZone": "UTC"}, MaxClients: 3})
	setStatus(t, r, tn.ID, registry.Active)

	e := lookup(t, r, "a", "app")
	require.Equal(t, &l, e.Login)
	require.True(t, e.Granted)
	want, err := r.TenantByID(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Equal(t, &want, e.Tenant)
	server, err := r.ServerByID(t.Context(), tn.ServerID)
	require.NoError(t, err)
	server.Tenants = 0
	require.Equal(t, &registry.Route{
		TenantID: tn.ID, Slug: "a", Status: registry.Active, Version: want.Version, Server: server,
		Database: "nusa_journal_a", Role: role, Kind: registry.App, Generation: 1, Password: "pw",
		PoolSize: 25, MinPoolSize: 2, MaxClients: 7, Weight: 4, PoolMode: "session", Plan: "BUSINESS", Own: want.Overrides,
	}, e.Route)

	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID, PoolMode: "transaction"})
	e, err = r.LookupFresh(t.Context(), "a", "app")
	require.NoError(t, err)
	require.Equal(t, "transaction", e.Route.PoolMode, "the login's wins over the tenant's")
}

func TestLookupOfAServiceLogin(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	a, b := served(t, r, "a"), served(t, r, "b")
	svc := putLogin(t, r, registry.NewLogin{Name: "journal-api"})

	e := lookup(t, r, "a", "journal-api")
	require.Equal(t, svc.ID, e.Login.ID)
	require.False(t, e.Granted)
	require.NotNil(t, e.Tenant)
	require.Nil(t, e.Route)

	require.NoError(t, r.Grant(t.Context(), svc.ID, a.ID, registry.Act{}))
	soon(t, "granted a", func() bool { return lookup(t, r, "a", "journal-api").Granted })
	require.Equal(t, a.ID, lookup(t, r, "a", "journal-api").Route.TenantID)
	require.False(t, lookup(t, r, "b", "journal-api").Granted)
	require.NoError(t, r.Grant(t.Context(), svc.ID, "", registry.Act{}))
	soon(t, "granted all", func() bool { return lookup(t, r, "b", "journal-api").Granted })
	require.Equal(t, b.ID, lookup(t, r, "b", "journal-api").Route.TenantID)

	e = lookup(t, r, "nobody", "journal-api")
	require.NotNil(t, e.Login, "it may log in and gets the honest error")
	require.Nil(t, e.Tenant)
	require.Nil(t, e.Route)
}

func TestLookupOfNobody(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	served(t, r, "a")
	served(t, r, "b")
	e := lookup(t, r, "a", "nobody")
	require.Nil(t, e.Login)
	require.False(t, e.Granted)
	require.Nil(t, e.Route)
	require.Equal(t, registry.Entry{}, lookup(t, r, "nowhere", "app"))

	// What strangers may send as names, and PostgreSQL would refuse as text.
	for _, login := range []string{"", "a\xff", "a\x00b", strings.Repeat("x", 64)} {
		require.Equal(t, registry.Entry{}, lookup(t, r, "a", login), "%q", login)
	}
	for _, slug := range []string{"", "A", "a\xff", "a\x00b", "postgres", strings.Repeat("x", 5000)} {
		require.Equal(t, registry.Entry{}, lookup(t, r, slug, "app"), "%q", slug)
	}
	require.False(t, r.Stats().Down)
	require.LessOrEqual(t, r.Stats().Unknown, 3, "slugs that cannot exist share an entry")
}

func TestLookupByStatus(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID})
	see := func(status registry.Status) registry.Entry {
		t.Helper()
		e, err := r.LookupFresh(t.Context(), "a", "app")
		require.NoError(t, err)
		require.Equal(t, status, e.Tenant.Status)
		return e
	}
	e := see(registry.Provisioning)
	require.NotNil(t, e.Route)
	require.Empty(t, e.Route.Role)
	require.ErrorIs(t, e.Route.CredentialErr, registry.ErrNotFound)

	setStatus(t, r, tn.ID, registry.Suspended)
	require.Equal(t, "because", see(registry.Suspended).Route.StatusReason)
	setStatus(t, r, tn.ID, registry.Deleted)
	e = see(registry.Deleted)
	require.True(t, e.Granted)
	require.Nil(t, e.Route)
}

func TestOldVerifierIsValidForTheOverlapOnly(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := served(t, r, "a")
	v1, v2 := verifier(t), verifier(t)
	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID, Verifier: v1})
	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID, Verifier: v2, Overlap: 1500 * time.Millisecond})
	e, err := r.LookupFresh(t.Context(), "a", "app")
	require.NoError(t, err)
	require.Equal(t, []string{v2, v1}, e.Login.Verifiers)
	soon(t, "the old one ends, without any change in the registry", func() bool {
		return len(lookup(t, r, "a", "app").Login.Verifiers) == 1
	})
	require.Equal(t, []string{v2}, lookup(t, r, "a", "app").Login.Verifiers)
}

// The look-up's plan must not grow with the number of tenants.
func TestLookupUsesIndexesOnly(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r, db := open(t, config(t, url)), connect(t, url)
	addServer(t, r, "main", "db")
	served(t, r, "a")
	exec(t, db, `INSERT INTO dermaga.tenants (slug, name, plan, server_id, database)
		SELECT 't' || g, 'x', 'STARTER', 1, 'd' || g FROM generate_series(1, 5000) g`)
	exec(t, db, `INSERT INTO dermaga.logins (name, tenant_id) SELECT 'app', id FROM dermaga.tenants WHERE slug <> 'a'`)
	exec(t, db, `INSERT INTO dermaga.credentials (tenant_id, kind, role, key_id, sealed)
		SELECT id, 'app', 'r', (SELECT id FROM dermaga.encryption_keys), repeat('x', 40)::bytea FROM dermaga.tenants WHERE slug <> 'a'`)
	exec(t, db, "ANALYZE dermaga.tenants, dermaga.logins, dermaga.credentials")
	rows, err := db.Query(t.Context(), "EXPLAIN "+registry.LookupSQL, "t77", "app")
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		plan.WriteString(line + "\n")
	}
	require.NoError(t, rows.Err())
	for _, table := range []string{"tenants", "logins", "credentials"} {
		require.NotContains(t, plan.String(), "Seq Scan on "+table, plan.String())
	}
}
