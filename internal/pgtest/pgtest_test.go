package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestEachTestGetsItsOwnEmptyDatabase(t *testing.T) {
	one, two := pgtest.Database(t), pgtest.Database(t)
	require.NotEqual(t, one, two)
	for _, url := range []string{one, two} {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `CREATE TABLE mine ()`)
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
}

func TestDatabaseIsGoneAfterItsTestEvenWithAGuest(t *testing.T) {
	var url string
	t.Run("user", func(t *testing.T) {
		url = pgtest.Database(t)
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close(t.Context()) })
	})
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "does not exist")
}

func TestClusterIsSharedAndFastRatherThanDurable(t *testing.T) {
	require.Same(t, pgtest.Server(t), pgtest.Server(t))
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for name, want := range map[string]string{"fsync": "off", "max_connections": "300", "listen_addresses": "127.0.0.1"} {
		var got string
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&got))
		require.Equal(t, want, got, name)
	}
}
