package migrations

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

func TestRegistryGoesUpAndDownAndUpAgain(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	s := registrySet
	const count = `SELECT count(*) FROM pg_class WHERE relnamespace = 'dermaga'::regnamespace AND relkind = 'r'`
	var first, again int
	require.NoError(t, s.Up(t.Context(), conn, nil))
	require.NoError(t, conn.QueryRow(t.Context(), count).Scan(&first))
	for to := s.Latest() - 1; to > 0; to-- { // each step alone: none may lean on one below it
		require.NoError(t, s.Down(t.Context(), conn, to))
	}
	require.NoError(t, s.Down(t.Context(), conn, 0))

	var left []string
	rows, err := conn.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relnamespace = 'dermaga'::regnamespace AND relkind = 'r'
		UNION ALL SELECT proname::text FROM pg_proc p WHERE pronamespace = 'dermaga'::regnamespace
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
		UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = 'dermaga'::regnamespace AND typtype = 'e'`)
	require.NoError(t, err)
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		left = append(left, name)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"schema_migrations"}, left)

	require.NoError(t, s.Up(t.Context(), conn, nil))
	require.NoError(t, conn.QueryRow(t.Context(), count).Scan(&again))
	require.Equal(t, first, again)
}
