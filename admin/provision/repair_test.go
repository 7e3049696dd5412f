package provision_test

import (
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

func TestPasswordThatWasChangedAtTheServerIsSetAgain(t *testing.T) {
	b := newBench(t)
	made := b.make("rekeyed")
	app := b.credential(made, registry.App)
	own := connect(t, as(t, app.Role, app.Password, made.Tenant.Database))
	_, err := own.Exec(t.Context(), `ALTER ROLE CURRENT_USER PASSWORD 'stolen'`) // a tenant can
	require.NoError(t, err)
	_, err = pgx.Connect(t.Context(), as(t, app.Role, app.Password, made.Tenant.Database))
	requireRefused(t, err, pgerrcode.InvalidPassword)

	entry, err := b.deps.Registry.LookupFresh(t.Context(), "rekeyed", made.Login)
	require.NoError(t, err)
	repaired := make(chan error, 4) // as many instances notice it at once
	for range cap(repaired) {
		go func() { repaired <- provision.Repair(t.Context(), b.deps, entry.Route) }()
	}
	for range cap(repaired) {
		require.NoError(t, <-repaired)
	}
	connect(t, as(t, app.Role, app.Password, made.Tenant.Database))

	log, err := b.deps.Registry.Activities(t.Context(), made.Tenant.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "credential.repair", log[0].Action)
	require.Equal(t, "ok", log[0].Outcome)
	require.NotContains(t, log[0].Message, app.Password.Reveal())
}

func TestRepairThatIsImpossibleIsRecordedAsFailed(t *testing.T) {
	b := newBench(t)
	made := b.make("lost-role")
	entry, err := b.deps.Registry.LookupFresh(t.Context(), "lost-role", made.Login)
	require.NoError(t, err)
	route := *entry.Route
	route.Role = "nobody_has_this_name"
	require.ErrorContains(t, provision.Repair(t.Context(), b.deps, &route), "nobody_has_this_name")
	log, err := b.deps.Registry.Activities(t.Context(), made.Tenant.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "failed", log[0].Outcome)
}

func TestAnotherPlanReachesRolesAndDatabase(t *testing.T) {
	b := newBench(t)
	made := b.make("upgraded")
	require.Equal(t, [3]int{13, 13, 42}, b.limits(made.Tenant)) // STARTER: 10 connections
	bigger := made.Tenant
	bigger.Plan, bigger.Overrides.PoolSize = "ENTERPRISE", 40
	require.NoError(t, provision.Relimit(t.Context(), b.deps, bigger))
	require.Equal(t, [3]int{43, 43, 132}, b.limits(made.Tenant))

	app := b.credential(made, registry.App)
	conn := connect(t, as(t, app.Role, app.Password, made.Tenant.Database))
	var timeout string
	require.NoError(t, conn.QueryRow(t.Context(), `SHOW statement_timeout`).Scan(&timeout))
	require.Equal(t, "0", timeout, "ENTERPRISE has none")

	smaller := made.Tenant
	smaller.Status = registry.Suspended // the fence is not lifted
	require.NoError(t, provision.Relimit(t.Context(), b.deps, smaller))
	require.Equal(t, [3]int{13, 13, 132}, b.limits(made.Tenant))
}

// limits are those of the tenant's two roles and its database.
func (b *workbench) limits(t registry.Tenant) (n [3]int) {
	b.Helper()
	roles := registry.RoleNames(t.ID)
	require.NoError(b, b.super.QueryRow(b.Context(), `SELECT
	  (SELECT rolconnlimit FROM pg_roles WHERE rolname = $1), (SELECT rolconnlimit FROM pg_roles WHERE rolname = $2),
	  (SELECT datconnlimit FROM pg_database WHERE datname = $3)`, roles.App, roles.ReadOnly, t.Database).Scan(&n[0], &n[1], &n[2]))
	return n
}
