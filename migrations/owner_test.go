package migrations_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
)

// The roles are as provisioning makes them: an admin that is no superuser, and
// group roles that own and use what the files make.
func TestJournalNeedsNoSuperuser(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	super := connect(t, dsn)
	db := one[string](t, super, "SELECT current_database()")
	exec(t, super, `CREATE ROLE jn_owner; CREATE ROLE jn_app; CREATE ROLE jn_admin LOGIN PASSWORD 'pw'; GRANT jn_owner TO jn_admin;
		CREATE ROLE jn_user LOGIN PASSWORD 'pw' IN ROLE jn_app;
		ALTER SCHEMA public OWNER TO jn_owner; REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO jn_app;
		GRANT CREATE ON DATABASE `+db+` TO jn_owner;
		ALTER DEFAULT PRIVILEGES FOR ROLE jn_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO jn_app;
		ALTER DEFAULT PRIVILEGES FOR ROLE jn_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO jn_app;
		ALTER DEFAULT PRIVILEGES FOR ROLE jn_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`)
	t.Cleanup(func() {
		_, _ = super.Exec(context.Background(), "DROP OWNED BY jn_owner, jn_app CASCADE; DROP ROLE jn_user, jn_admin, jn_app, jn_owner")
	})

	admin := connect(t, as(t, dsn, "jn_admin"))
	exec(t, admin, "SET ROLE jn_owner")
	require.NoError(t, migrations.Journal().Up(t.Context(), admin, nil))
	require.NoError(t, migrations.SeedJournal(t.Context(), admin, 2026))

	user := connect(t, as(t, dsn, "jn_user"))
	id := draft(t, user, "JU-1", 100, 100)
	exec(t, user, post, id)
	require.EqualValues(t, 100, one[float64](t, user, "SELECT sum(debit) FROM trial_balance"))
	_, err := user.Exec(t.Context(), "UPDATE schema_migrations SET version = 1")
	requireState(t, err, pgerrcode.InsufficientPrivilege, "")
}

func TestRegistryNeedsNoSuperuser(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	super := connect(t, dsn)
	db := one[string](t, super, "SELECT current_database()")
	exec(t, super, "CREATE ROLE rn_owner LOGIN PASSWORD 'pw'; ALTER DATABASE "+db+" OWNER TO rn_owner")
	t.Cleanup(func() {
		_, _ = super.Exec(context.Background(), "ALTER DATABASE "+db+" OWNER TO postgres; DROP OWNED BY rn_owner CASCADE; DROP ROLE rn_owner")
	})
	require.NoError(t, migrations.Registry(t.Context(), as(t, dsn, "rn_owner")))
}

// as returns the URL with another user, whose password is pw.
func as(t *testing.T, dsn, user string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.User = url.UserPassword(user, "pw")
	return u.String()
}
