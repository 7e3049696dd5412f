package migrations_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// journal returns a connection to a fresh tenant database with the newest schema.
func journal(t *testing.T) *pgx.Conn {
	t.Helper()
	conn := connect(t, pgtest.Database(t))
	require.NoError(t, migrations.Journal().Up(t.Context(), conn, nil))
	return conn
}

// seeded is journal, seeded for 2026.
func seeded(t *testing.T) *pgx.Conn {
	t.Helper()
	conn := journal(t)
	require.NoError(t, migrations.SeedJournal(t.Context(), conn, 2026))
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// one returns the only value of the only row.
func one[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}
