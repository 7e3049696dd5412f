package migrations_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
)

func TestRegistryMigratesOnceAndThenHasNothingToDo(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	have, want, err := migrations.RegistryVersion(t.Context(), url)
	require.NoError(t, err)
	require.Zero(t, have)
	require.Positive(t, want)

	require.NoError(t, migrations.Registry(t.Context(), url+schemaSuffix(url)), "as Prisma writes the URL")
	require.NoError(t, migrations.Registry(t.Context(), url))
	have, want, err = migrations.RegistryVersion(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, want, have)
}

// schemaSuffix is what Prisma's users have in their URLs.
func schemaSuffix(url string) string {
	if strings.Contains(url, "?") {
		return "&schema=public"
	}
	return "?schema=public"
}

func TestInstancesThatStartTogetherMigrateOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = migrations.Registry(t.Context(), url) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestPlansAreAsSold(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	require.NoError(t, migrations.Registry(t.Context(), url))
	rows, err := connect(t, url).Query(t.Context(), "SELECT name, server_connections, clients FROM dermaga.plans ORDER BY clients")
	require.NoError(t, err)
	type plan struct {
		Name                string
		Connections, Client int
	}
	plans, err := pgx.CollectRows(rows, pgx.RowToStructByPos[plan])
	require.NoError(t, err)
	require.Equal(t, []plan{{"STARTER", 10, 100}, {"BUSINESS", 25, 1000}, {"ENTERPRISE", 100, 10000}}, plans)
}

func TestRegistryURLErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	err := migrations.Registry(t.Context(), "postgresql://u:hunter2@127.0.0.1:1/x?connect_timeout=1")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	err = migrations.Registry(t.Context(), "postgresql://u:hunter2@127.0.0.1:x/x")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// objects lists what a schema holds, extensions' own objects apart.
func objects(t *testing.T, conn *pgx.Conn, schema string) []string {
	t.Helper()
	const sql = `
		SELECT 'relation ' || relname FROM pg_class c WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'v', 'S')
		UNION ALL SELECT 'function ' || proname FROM pg_proc p WHERE pronamespace = $1::regnamespace
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
		UNION ALL SELECT 'type ' || typname FROM pg_type y WHERE typnamespace = $1::regnamespace AND typtype = 'e'`
	rows, err := conn.Query(t.Context(), sql, schema)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	slices.Sort(names)
	return names
}
