package provision_test

import (
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

// A registry's caches each keep a goroutine that nobody can end (golang-lru);
// a process has one registry.
var lruSweep = goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1")

func TestMain(m *testing.M) { pgtest.Main(m, lruSweep) }

// prepared makes the cluster ready once: all tests share its dermaga_admin.
var prepared = sync.OnceValues(func() (provision.Prepared, error) {
	return provision.PrepareServer(context.Background(), clusterURL, registry.NewPassword())
})

// clusterURL is set before prepared is first called.
var clusterURL registry.Secret

// A workbench is a registry of the test's own over the common cluster.
type workbench struct {
	*testing.T
	deps  provision.Deps
	super *pgx.Conn // superuser, maintenance database
}

func newBench(t *testing.T) *workbench {
	t.Helper()
	clusterURL = registry.Secret(pgtest.URL(t))
	ready, err := prepared()
	require.NoError(t, err)
	return benchWith(t, ready)
}

// benchWith is a workbench whose server is administered by ready's role.
func benchWith(t *testing.T, ready provision.Prepared) *workbench {
	t.Helper()
	ctx := t.Context()
	at := pgtest.Database(t)
	require.NoError(t, migrations.Registry(ctx, at))
	keys, err := registry.ParseKeys("6f1d0c7b6a5948372615f4e3d2c1b0a98f7e6d5c4b3a29181706f5e4d3c2b1a0")
	require.NoError(t, err)
	reg, err := registry.Open(ctx, registry.Config{URL: registry.Secret(at), Keys: keys, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(reg.Close)

	server := pgtest.Server(t)
	_, err = reg.AddServer(ctx, registry.NewServer{
		Name: "local", Host: server.Host(), Port: server.Port(), SSLMode: "disable", ConnectionBudget: ready.Budget,
		AdminRole: ready.Role, AdminPassword: ready.Password, Actor: "test",
	})
	require.NoError(t, err)
	b := &workbench{T: t, deps: provision.Deps{Registry: reg}, super: connect(t, pgtest.URL(t))}
	t.Cleanup(b.dropTenants)
	return b
}

// dropTenants leaves the cluster as it was for the next test.
func (b *workbench) dropTenants() {
	ctx := context.Background()
	tenants, err := b.deps.Registry.Tenants(ctx, registry.Filter{})
	require.NoError(b, err)
	for _, t := range tenants {
		roles := registry.RoleNames(t.ID)
		roles.Owner = registry.RoleName(t.ID, registry.Owner, 1)
		for _, sql := range []string{
			"DROP DATABASE IF EXISTS " + pgx.Identifier{t.Database}.Sanitize() + " WITH (FORCE)",
			"DROP ROLE IF EXISTS " + strings.Join(roles.All(), ", "),
		} {
			_, err := b.super.Exec(ctx, sql)
			require.NoError(b, err)
		}
	}
}

func connect(t *testing.T, at string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

// as returns the URL at which role logs in to a database of the cluster.
func as(t *testing.T, role string, password registry.Secret, database string) string {
	t.Helper()
	return at(pgtest.Server(t), role, password, database)
}

func at(server *privatepg.Server, role string, password registry.Secret, database string) string {
	u := url.URL{
		Scheme: "postgresql", User: url.UserPassword(role, password.Reveal()),
		Host: server.Host() + ":" + strconv.Itoa(server.Port()), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// make provisions a tenant that must come out well.
func (b *workbench) make(slug string) provision.Result {
	b.Helper()
	made, err := provision.Tenant(b.Context(), b.deps, provision.Request{Slug: slug, Actor: "test"})
	require.NoError(b, err)
	return made
}

// credential is the role that the broker would use.
func (b *workbench) credential(made provision.Result, kind registry.RoleKind) registry.Credential {
	b.Helper()
	c, err := b.deps.Registry.CurrentCredential(b.Context(), made.Tenant.ID, kind)
	require.NoError(b, err)
	return c
}

// count answers a query with one number, on the registry.
func (b *workbench) count(sql string, args ...any) (n int) {
	b.Helper()
	require.NoError(b, b.deps.Registry.Pool().QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

// requireNothingLeft looks for everything that provisioning makes, and allows
// but the SUSPENDED row and its activities.
func (b *workbench) requireNothingLeft(slug string) registry.Tenant {
	b.Helper()
	ctx := context.Background()
	tenant, err := b.deps.Registry.TenantBySlug(ctx, slug)
	require.NoError(b, err)
	require.Equal(b, registry.Suspended, tenant.Status)
	require.NotEmpty(b, tenant.StatusReason)

	var databases, roles int
	require.NoError(b, b.super.QueryRow(ctx, `SELECT count(*) FROM pg_database WHERE datname = $1`, tenant.Database).Scan(&databases))
	require.Zero(b, databases, "databases")
	like := "t\\_" + strings.ReplaceAll(tenant.ID, "-", "") + "%"
	require.NoError(b, b.super.QueryRow(ctx, `SELECT count(*) FROM pg_roles WHERE rolname LIKE $1`, like).Scan(&roles))
	require.Zero(b, roles, "roles")

	for _, table := range []string{"credentials", "logins", "tenant_migrations"} {
		require.Zero(b, b.count(`SELECT count(*) FROM dermaga.`+table+` WHERE tenant_id = $1`, tenant.ID), table)
	}
	require.Zero(b, b.count(`SELECT count(*) FROM dermaga.login_verifiers`), "verifiers")
	require.Equal(b, 1, b.count(`SELECT count(*) FROM dermaga.activities WHERE tenant_id = $1 AND outcome = 'failed'`, tenant.ID))
	return tenant
}
