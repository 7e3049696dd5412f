package provision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

func requireRefused(t *testing.T, err error, code string) {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, code, pg.Code, pg.Message)
}

func TestTenantIsActiveWithSchemaSeedAndLogin(t *testing.T) {
	b := newBench(t)
	made, err := provision.Tenant(t.Context(), b.deps, provision.Request{
		Slug: "pt-media-nusa", Name: "PT Media Nusa", Plan: "BUSINESS", PoolSize: 7, PoolMode: "session", MaxClients: 70, Actor: "test",
	})
	require.NoError(t, err)
	require.Equal(t, registry.Active, made.Tenant.Status)
	require.Equal(t, "PT Media Nusa", made.Tenant.Name)
	require.Equal(t, "nusa_journal_pt_media_nusa", made.Tenant.Database)
	require.Equal(t, provision.LoginName, made.Login)
	require.GreaterOrEqual(t, len(made.Password.Reveal()), 43, "256 bits")

	entry, err := b.deps.Registry.LookupFresh(t.Context(), "pt-media-nusa", made.Login)
	require.NoError(t, err)
	require.NotNil(t, entry.Route)
	require.Equal(t, 7, entry.Route.PoolSize)
	require.Equal(t, 70, entry.Route.MaxClients)
	require.Equal(t, "session", entry.Route.PoolMode)

	app := b.credential(made, registry.App)
	conn := connect(t, as(t, app.Role, app.Password, made.Tenant.Database))
	var accounts int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM accounts`).Scan(&accounts))
	require.Positive(t, accounts)
	var timeout, spill string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'), current_setting('temp_file_limit')`).Scan(&timeout, &spill))
	require.Equal(t, "1min", timeout)
	require.Equal(t, "4GB", spill)

	fresh, err := b.deps.Registry.TenantBySlug(t.Context(), "pt-media-nusa")
	require.NoError(t, err)
	require.EqualValues(t, migrations.Journal().Latest(), fresh.SchemaVersion)
}

func TestEveryStepIsRecordedInTheActivities(t *testing.T) {
	b := newBench(t)
	made := b.make("recorded")
	log, err := b.deps.Registry.Activities(t.Context(), made.Tenant.ID, 1000)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, a := range log {
		require.Equal(t, "ok", a.Outcome)
		require.Equal(t, "test", a.Actor)
		seen[a.Action] = true
	}
	for _, s := range provision.Steps()[1:] { // before validate there is no tenant
		require.True(t, seen["provision."+s.Name], s.Name)
	}
	applied, err := b.deps.Registry.Migrations(t.Context(), made.Tenant.ID)
	require.NoError(t, err)
	require.Len(t, applied, int(migrations.Journal().Latest()))
}

func TestTenantsAreClosedToEachOtherAroundTheBroker(t *testing.T) {
	b := newBench(t)
	one, other := b.make("one"), b.make("other")
	for _, kind := range []registry.RoleKind{registry.App, registry.ReadOnly} {
		own := b.credential(one, kind)
		for _, database := range []string{other.Tenant.Database, "postgres", "template1"} {
			_, err := pgx.Connect(t.Context(), as(t, own.Role, own.Password, database))
			requireRefused(t, err, pgerrcode.InsufficientPrivilege)
		}
	}
	var open []string
	rows, err := b.super.Query(t.Context(), `
	  SELECT coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC') || ' ' || a.privilege_type
	  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
	  WHERE datname = $1 AND a.grantee <> d.datdba ORDER BY 1`, one.Tenant.Database)
	require.NoError(t, err)
	open, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	roles := registry.RoleNames(one.Tenant.ID)
	require.ElementsMatch(t, []string{roles.App + " CONNECT", roles.App + " TEMPORARY", roles.ReadOnly + " CONNECT"}, open)
}

func TestTenantRolesMayUseTheSchemaAndNotChangeIt(t *testing.T) {
	b := newBench(t)
	made := b.make("roles")
	app := b.credential(made, registry.App)
	conn := connect(t, as(t, app.Role, app.Password, made.Tenant.Database))
	for _, sql := range []string{
		`CREATE TABLE mine (a int)`,
		`CREATE SCHEMA mine`,
		`DROP TABLE accounts`,
		`ALTER TABLE accounts ADD COLUMN mine int`,
		`SET ROLE journal_owner`,
		`SET ROLE dermaga_admin`,
		`UPDATE schema_migrations SET version = 1`,
		`SET temp_file_limit = -1`,
		`CREATE DATABASE mine`,
		`CREATE ROLE mine`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		requireRefused(t, err, pgerrcode.InsufficientPrivilege)
	}

	reader := b.credential(made, registry.ReadOnly)
	conn = connect(t, as(t, reader.Role, reader.Password, made.Tenant.Database))
	_, err := conn.Exec(t.Context(), `SELECT FROM accounts`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `DELETE FROM accounts`)
	requireRefused(t, err, pgerrcode.ReadOnlySQLTransaction)
	_, err = conn.Exec(t.Context(), `SET default_transaction_read_only = off`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `DELETE FROM accounts`)
	requireRefused(t, err, pgerrcode.InsufficientPrivilege)
}

func TestEachStepMayRunAgain(t *testing.T) {
	b := newBench(t)
	var twice []provision.Step
	for _, s := range provision.Steps() {
		twice = append(twice, s, s)
	}
	made, err := provision.Run(t.Context(), b.deps, provision.Request{Slug: "twice", Actor: "test"}, twice)
	require.NoError(t, err)
	require.Equal(t, registry.Active, made.Tenant.Status)
	app := b.credential(made, registry.App)
	connect(t, as(t, app.Role, app.Password, made.Tenant.Database))
}

// A killed process undoes nothing: here a panic stands in for it.
func TestResumeFinishesWhatAKilledRunLeft(t *testing.T) {
	b := newBench(t)
	for i, step := range provision.Steps() {
		if step.Name == "validate" || step.Name == "activate" {
			continue // nothing there yet; finished
		}
		steps := append(provision.Steps()[:i+1:i+1], provision.Step{
			Name: "kill", Do: func(context.Context, *provision.Job) error { panic("killed") },
		})
		request := provision.Request{Slug: "killed-" + step.Name, Actor: "test"}
		require.PanicsWithValue(t, "killed", func() {
			_, _ = provision.Run(t.Context(), b.deps, request, steps)
		})
		made, err := provision.Resume(t.Context(), b.deps, request)
		require.NoError(t, err, "killed after %s", step.Name)
		require.Equal(t, registry.Active, made.Tenant.Status)

		_, err = provision.Resume(t.Context(), b.deps, request)
		require.ErrorIs(t, err, provision.ErrProvisioned)
	}
}

func TestPasswordCanBeChosenBeforehand(t *testing.T) {
	b := newBench(t)
	password := registry.NewPassword()
	made, err := provision.Tenant(t.Context(), b.deps, provision.Request{Slug: "chosen", Password: password, Actor: "test"})
	require.NoError(t, err)
	require.Equal(t, password, made.Password)
}

func TestTakenSlugIsRefusedAndItsTenantUnharmed(t *testing.T) {
	b := newBench(t)
	made := b.make("taken")
	_, err := provision.Tenant(t.Context(), b.deps, provision.Request{Slug: "taken", Actor: "test"})
	require.ErrorIs(t, err, registry.ErrSlugTaken)
	fresh, err := b.deps.Registry.TenantBySlug(t.Context(), "taken")
	require.NoError(t, err)
	require.Equal(t, made.Tenant.Version, fresh.Version)
}

func TestInvalidRequestNamesAllFaultsAndMakesNothing(t *testing.T) {
	b := newBench(t)
	_, err := provision.Tenant(t.Context(), b.deps, provision.Request{
		Slug: "Bad--slug", Plan: "GOLD", PoolSize: -1, PoolMode: "sometimes", MaxClients: 1 << 30, Name: "a\x00b",
	})
	require.ErrorIs(t, err, registry.ErrInvalid)
	for _, text := range []string{"only a-z, 0-9 and -", `plan "GOLD"`, "STARTER, BUSINESS, ENTERPRISE", "pool size -1", `pool mode "sometimes"`, "max clients", "name has"} {
		require.ErrorContains(t, err, text)
	}
	require.Zero(t, b.count(`SELECT count(*) FROM dermaga.tenants`))
}

func TestDatabaseOfSomebodyElseIsLeftAlone(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	_, err := b.super.Exec(ctx, `CREATE DATABASE nusa_journal_foreign`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := b.super.Exec(context.Background(), `DROP DATABASE nusa_journal_foreign`)
		require.NoError(t, err)
	})
	_, err = provision.Tenant(ctx, b.deps, provision.Request{Slug: "foreign", Actor: "test"})
	require.ErrorContains(t, err, "is not this tenant's")
	var there bool
	require.NoError(t, b.super.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'nusa_journal_foreign')`).Scan(&there))
	require.True(t, there)
}

func TestFailedCheckSaysWhy(t *testing.T) {
	b := newBench(t)
	b.deps.Check = func(context.Context, string, string, registry.Secret) error {
		return errors.New("nobody answers")
	}
	_, err := provision.Tenant(t.Context(), b.deps, provision.Request{Slug: "unchecked", Actor: "test"})
	require.ErrorContains(t, err, "step check")
	require.ErrorContains(t, err, "nobody answers")
	b.requireNothingLeft("unchecked")
}

// A managed service gives out no superuser: nothing is there but a role that may
// make databases and roles.
func TestServerCanBePreparedByARoleThatIsNoSuperuser(t *testing.T) {
	ctx := t.Context()
	dir, err := os.MkdirTemp("/tmp", "dermaga-managed-") // where the user postgres can get
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	server, err := privatepg.Start(ctx, privatepg.Config{
		Bin: pgtest.Server(t).Bin(), Data: filepath.Join(dir, "postgres"), Password: "superuser",
		Settings: map[string]string{"fsync": "off"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	super := connect(t, server.URL())
	_, err = super.Exec(ctx, `CREATE ROLE managed LOGIN CREATEDB CREATEROLE PASSWORD 'managed'`)
	require.NoError(t, err)

	at := at(server, "managed", "managed", "postgres")
	for range 2 {
		ready, err := provision.PrepareServer(ctx, registry.Secret(at), "")
		require.NoError(t, err)
		require.Equal(t, "managed", ready.Role)
		require.EqualValues(t, "managed", ready.Password)
		require.Equal(t, []string{"postgres", "template1"}, ready.Open, "only their owner can close them")
	}
	b := newBench(t)
	_, err = b.deps.Registry.AddServer(ctx, registry.NewServer{
		Name: "managed", Host: server.Host(), Port: server.Port(), SSLMode: "disable", ConnectionBudget: 90,
		AdminRole: "managed", AdminPassword: "managed", Actor: "test",
	})
	require.NoError(t, err)
	made, err := provision.Tenant(ctx, b.deps, provision.Request{Slug: "managed", Server: "managed", Actor: "test"})
	require.NoError(t, err)
	require.Equal(t, "managed", made.Tenant.Server)
	require.NoError(t, provision.Owner(ctx, b.deps, made.Tenant.ID, "test"))

	_, err = provision.Run(ctx, b.deps, provision.Request{Slug: "unmanaged", Server: "managed", Actor: "test"}, faultAfter(10))
	var failure *provision.Failure
	require.ErrorAs(t, err, &failure)
	require.NoError(t, failure.Undo)
	var left int
	require.NoError(t, super.QueryRow(ctx, `SELECT count(*) FROM pg_database WHERE datname LIKE '%unmanaged'`).Scan(&left))
	require.Zero(t, left)
}

func TestServerIsRefusedToARoleThatMayNotMakeDatabases(t *testing.T) {
	newBench(t)
	ctx := t.Context()
	super := connect(t, pgtest.URL(t))
	_, err := super.Exec(ctx, `CREATE ROLE weak LOGIN PASSWORD 'weak'; GRANT CONNECT ON DATABASE postgres TO weak`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := super.Exec(context.Background(), `DROP OWNED BY weak; DROP ROLE weak`)
		require.NoError(t, err)
	})
	_, err = provision.PrepareServer(ctx, registry.Secret(as(t, "weak", "weak", "postgres")), "")
	require.ErrorContains(t, err, "CREATEDB and CREATEROLE")
}

func TestPreparedServerNamesDatabasesThatAreOpenToAll(t *testing.T) {
	newBench(t)
	pgtest.Database(t) // whoever made it closed it to nobody
	common, err := prepared()
	require.NoError(t, err)
	ready, err := provision.PrepareServer(t.Context(), registry.Secret(pgtest.URL(t)), common.Password)
	require.NoError(t, err)
	require.Equal(t, "dermaga_admin", ready.Role)
	require.NotEmpty(t, ready.Open)
	require.NotContains(t, ready.Open, "postgres")
	require.NotContains(t, ready.Open, "template1")
}

func TestTenantsAreNotGivenTheConnectionsThatDermagaNeeds(t *testing.T) {
	ready, err := prepared()
	require.NoError(t, err)
	var most, kept int
	err = connect(t, pgtest.URL(t)).QueryRow(t.Context(), `SELECT current_setting('max_connections')::int,
		current_setting('superuser_reserved_connections')::int`).Scan(&most, &kept)
	require.NoError(t, err)
	require.Equal(t, most-kept-5, ready.Budget)
}
