package registry_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

func TestMain(m *testing.M) {
	pgtest.Main(m,
		// golang-lru's expiry cannot be ended (its Close is commented out); there are two per Registry.
		goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1"))
}

// migrated returns the URL of a registry database without rows.
func migrated(t testing.TB) string {
	t.Helper()
	url := pgtest.Database(t)
	require.NoError(t, migrations.Registry(t.Context(), url))
	return url
}

func config(t testing.TB, url string) registry.Config {
	t.Helper()
	return registry.Config{URL: registry.Secret(url), Keys: keys(t, testKey), Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, cfg registry.Config) *registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// fresh is an open registry with one server.
func fresh(t testing.TB) *registry.Registry {
	t.Helper()
	r := open(t, config(t, migrated(t)))
	addServer(t, r, "main", "db1.example")
	return r
}

func addServer(t testing.TB, r *registry.Registry, name, host string) registry.Server {
	t.Helper()
	s, err := r.AddServer(t.Context(), registry.NewServer{
		Name: name, Host: host, AdminRole: "dermaga_admin", AdminPassword: "adminpw", Actor: "test",
	})
	require.NoError(t, err)
	return s
}

func create(t testing.TB, r *registry.Registry, slug string) registry.Tenant {
	t.Helper()
	tn, err := r.CreateTenant(t.Context(), registry.NewTenant{Slug: slug, Actor: "test"})
	require.NoError(t, err)
	return tn
}

// served is a tenant that clients can reach: credential, login "app", ACTIVE.
func served(t testing.TB, r *registry.Registry, slug string) registry.Tenant {
	t.Helper()
	tn := create(t, r, slug)
	require.NoError(t, r.PutCredential(t.Context(), registry.Credential{
		TenantID: tn.ID, Kind: registry.App, Generation: 1, Role: registry.RoleNames(tn.ID).App, Password: registry.Secret("pw-" + slug),
	}))
	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID})
	setStatus(t, r, tn.ID, registry.Active)
	return tn
}

func putLogin(t testing.TB, r *registry.Registry, n registry.NewLogin) registry.Login {
	t.Helper()
	if n.Verifier == "" {
		n.Verifier = verifier(t)
	}
	n.Actor = "test"
	l, err := r.PutLogin(t.Context(), n)
	require.NoError(t, err)
	return l
}

func verifier(t testing.TB) string {
	t.Helper()
	v, err := registry.NewVerifier(registry.NewPassword())
	require.NoError(t, err)
	return v
}

func setStatus(t testing.TB, r *registry.Registry, id string, to registry.Status) {
	t.Helper()
	require.NoError(t, r.SetStatus(t.Context(), id, to, registry.Act{Actor: "test", Message: "because"}))
}

func lookup(t testing.TB, r *registry.Registry, slug, login string) registry.Entry {
	t.Helper()
	e, err := r.Lookup(t.Context(), slug, login)
	require.NoError(t, err)
	return e
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// soon waits until something is so: longer than a loaded machine needs, which
// nobody waits for when all is well.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 15*time.Second, 5*time.Millisecond, what)
}
