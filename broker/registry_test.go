package broker_test

import (
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

// A city is a real registry, and real databases behind it.
type city struct {
	*registry.Registry
	t   testing.TB
	url string // of the registry's database, as superuser
}

func found(t testing.TB, change ...func(*registry.Config)) *city {
	t.Helper()
	raw := pgtest.Database(t)
	require.NoError(t, migrations.Registry(t.Context(), raw))
	keys, err := registry.ParseKeys(testKey)
	require.NoError(t, err)
	cfg := registry.Config{URL: registry.Secret(raw), Keys: keys, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg)
	}
	r, err := registry.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	c := &city{Registry: r, t: t, url: raw}
	server := pgtest.Server(t)
	_, err = r.AddServer(t.Context(), registry.NewServer{
		Name: "main", Host: server.Host(), Port: server.Port(), SSLMode: "disable", AdminRole: "postgres", AdminPassword: "x", Actor: "test",
	})
	require.NoError(t, err)
	return c
}

// settle makes a tenant with a database and the login "app", not ACTIVE yet.
func (c *city) settle(slug string) registry.Tenant {
	c.t.Helper()
	ctx := c.t.Context()
	tenant, err := c.CreateTenant(ctx, registry.NewTenant{Slug: slug, Actor: "test"})
	require.NoError(c.t, err)
	role := registry.RoleNames(tenant.ID).App
	admin(c.t, c.url, `CREATE ROLE "`+role+`" LOGIN PASSWORD 'upstream'`)
	admin(c.t, c.url, `CREATE DATABASE "`+tenant.Database+`" TEMPLATE template0`)
	c.t.Cleanup(func() {
		admin(c.t, pgtest.URL(c.t), `DROP DATABASE "`+tenant.Database+`" WITH (FORCE)`)
		admin(c.t, pgtest.URL(c.t), `DROP ROLE "`+role+`"`)
	})
	require.NoError(c.t, c.PutCredential(ctx, registry.Credential{
		TenantID: tenant.ID, Kind: registry.App, Generation: 1, Role: role, Password: "upstream",
	}))
	c.login("app", tenant.ID, "pw-"+registry.Secret(slug))
	return tenant
}

func (c *city) login(name, tenantID string, password registry.Secret) registry.Login {
	c.t.Helper()
	v, err := registry.NewVerifier(password)
	require.NoError(c.t, err)
	l, err := c.PutLogin(c.t.Context(), registry.NewLogin{Name: name, TenantID: tenantID, Verifier: v, Actor: "test"})
	require.NoError(c.t, err)
	return l
}

func (c *city) set(tenant registry.Tenant, to registry.Status) {
	c.t.Helper()
	require.NoError(c.t, c.SetStatus(c.t.Context(), tenant.ID, to, registry.Act{Actor: "test", Message: "because of the test"}))
}

// code is the SQLSTATE with which logging in to slug fails, "" when it does not.
func code(t testing.TB, address, slug, login, password string) string {
	t.Helper()
	conn, err := tryConnect(t.Context(), address, slug, login, password)
	if err == nil {
		require.NoError(t, conn.Ping(t.Context()))
		require.NoError(t, conn.Close(t.Context()))
		return ""
	}
	var failure *pgconn.PgError
	require.ErrorAs(t, err, &failure)
	return failure.Code
}

func TestTenantLoginIsRefusedAtEveryOtherSlug(t *testing.T) {
	c := found(t)
	for _, slug := range []string{"satu", "dua"} {
		c.set(c.settle(slug), registry.Active)
	}
	address := serve(t, c.Registry)
	require.Empty(t, code(t, address, "satu", "app", "pw-satu"))
	require.Empty(t, code(t, address, "dua", "app", "pw-dua"))
	for _, slug := range []string{"dua", "tiga", "postgres", "template1", "nusa_journal_satu", "SATU", ""} {
		require.Equal(t, "28P01", code(t, address, slug, "app", "pw-satu"), slug)
	}
}

func TestServiceLoginReachesWhatItIsGranted(t *testing.T) {
	c := found(t)
	satu, dua := c.settle("satu"), c.settle("dua")
	c.set(satu, registry.Active)
	c.set(dua, registry.Active)
	some, all := c.login("some", "", "pw-some"), c.login("all", "", "pw-all")
	act := registry.Act{Actor: "test"}
	require.NoError(t, c.Grant(t.Context(), some.ID, satu.ID, act))
	require.NoError(t, c.Grant(t.Context(), all.ID, "", act))
	address := serve(t, c.Registry)
	for _, want := range []struct{ slug, login, password, code string }{
		{"satu", "some", "pw-some", ""},
		{"dua", "some", "pw-some", "3D000"},
		{"tiga", "some", "pw-some", "3D000"},
		{"postgres", "some", "pw-some", "3D000"},
		{"satu", "all", "pw-all", ""},
		{"dua", "all", "pw-all", ""},
		{"tiga", "all", "pw-all", "3D000"},
		{"satu", "all", "pw-some", "28P01"},
	} {
		require.Equal(t, want.code, code(t, address, want.slug, want.login, want.password), "%v", want)
	}
	require.NoError(t, c.Revoke(t.Context(), some.ID, satu.ID, act))
	eventually(t, func() bool { return code(t, address, "satu", "some", "pw-some") == "3D000" }, "a grant that was taken back")
}

func TestStatusTakesEffectOnNewLogins(t *testing.T) {
	c := found(t)
	tenant := c.settle("satu")
	address := serve(t, c.Registry, func(c *broker.Config) { c.ProvisionWait, c.MigrationWait = 20*time.Millisecond, patience })
	require.Equal(t, "57P03", code(t, address, "satu", "app", "pw-satu"), "still being made")
	c.set(tenant, registry.Active)
	eventually(t, func() bool { return code(t, address, "satu", "app", "pw-satu") == "" }, "active")

	c.set(tenant, registry.Migrating)
	eventually(t, func() bool {
		e, err := c.Lookup(t.Context(), "satu", "app")
		return err == nil && e.Route.Status == registry.Migrating
	}, "the cache knows")
	held := fakepg.Dial(t, address)
	outcome := make(chan *pgproto3.ErrorResponse, 1)
	go func() { outcome <- held.Login(0, "pw-satu", "user", "app", "database", "satu") }()
	c.set(tenant, registry.Active)
	require.Nil(t, <-outcome)

	c.set(tenant, registry.Suspended)
	eventually(t, func() bool { return code(t, address, "satu", "app", "pw-satu") == "57P03" }, "suspended")
	c.set(tenant, registry.Deleted)
	eventually(t, func() bool { return code(t, address, "satu", "app", "pw-satu") == "28P01" }, "deleted is unknown")
}

// Nothing that a client says at start-up reaches the registry's connection
// (CVE-2025-12819: a search_path did, and the pooler's own query ran under it).
func TestStartupSettingsDoNotReachTheRegistry(t *testing.T) {
	c := found(t)
	c.set(c.settle("satu"), registry.Active)
	admin(t, c.url, `CREATE SCHEMA evil;
		CREATE TABLE evil.logins AS SELECT * FROM dermaga.logins WITH NO DATA;
		CREATE TABLE evil.tenants AS SELECT * FROM dermaga.tenants WITH NO DATA;
		CREATE FUNCTION evil.coalesce(boolean, boolean) RETURNS boolean RETURN true`)
	address := serve(t, c.Registry)
	for _, pairs := range [][]string{
		{"search_path", "evil"}, {"options", "-c search_path=evil"}, {"options", "-c default_transaction_read_only=on -c statement_timeout=1"},
	} {
		login := func(password string) *pgproto3.ErrorResponse {
			return fakepg.Dial(t, address).Login(0, password, append([]string{"user", "app", "database", "satu"}, pairs...)...)
		}
		require.Nil(t, login("pw-satu"), pairs)
		require.Equal(t, "28P01", login("wrong").Code, pairs)
	}
	var path string
	require.NoError(t, c.Pool().QueryRow(t.Context(), "SHOW search_path").Scan(&path))
	require.NotContains(t, path, "evil")
}

func TestCheckWorksBeforeATenantIsActive(t *testing.T) {
	c := found(t)
	tenant := c.settle("satu")
	b, _ := serveBroker(t, c.Registry)
	require.NoError(t, b.Check(t.Context(), "satu", "app", "pw-satu"))
	require.ErrorContains(t, b.Check(t.Context(), "satu", "app", "pw-dua"), "does not accept")
	require.ErrorContains(t, b.Check(t.Context(), "dua", "app", "pw-satu"), "no such tenant")

	admin(t, c.url, `ALTER ROLE "`+registry.RoleNames(tenant.ID).App+`" PASSWORD 'changed by the tenant itself'`)
	err := b.Check(t.Context(), "satu", "app", "pw-satu")
	require.ErrorContains(t, err, "28P01")
	require.NotContains(t, err.Error(), "upstream")
}

// A role can change its own password (facts of PostgreSQL): its tenant's clients
// are told that the server refuses them, and nobody else notices.
func TestRoleThatChangesItsOwnPasswordLocksOutItselfOnly(t *testing.T) {
	c := found(t)
	satu, dua := c.settle("satu"), c.settle("dua")
	c.set(satu, registry.Active)
	c.set(dua, registry.Active)
	address := serve(t, c.Registry)
	admin(t, c.url, `ALTER ROLE "`+registry.RoleNames(satu.ID).App+`" PASSWORD 'mine'`)
	require.Equal(t, "08006", code(t, address, "satu", "app", "pw-satu"))
	require.Empty(t, code(t, address, "dua", "app", "pw-dua"))
}

func TestKnownTenantsWorkWhileTheRegistryIsDown(t *testing.T) {
	c := found(t, func(cfg *registry.Config) { cfg.CacheTTL, cfg.NegativeTTL = time.Millisecond, time.Millisecond })
	c.set(c.settle("satu"), registry.Active)
	c.set(c.settle("dua"), registry.Active)
	address := serve(t, c.Registry)
	require.Empty(t, code(t, address, "satu", "app", "pw-satu"))

	u, err := url.Parse(c.url)
	require.NoError(t, err)
	name := u.Path[1:]
	admin(t, pgtest.URL(t), `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS false`)
	admin(t, pgtest.URL(t), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
	require.Empty(t, code(t, address, "satu", "app", "pw-satu"), "known, and remembered")
	require.Equal(t, "57P03", code(t, address, "dua", "app", "pw-dua"), "never asked for: nothing to remember")
	admin(t, pgtest.URL(t), `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS true`)
	eventually(t, func() bool { return code(t, address, "dua", "app", "pw-dua") == "" }, "the registry is back")
}
