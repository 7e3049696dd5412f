package clients_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// A tenant's user can take a whole dump through the broker. Restored as another
// database it is the same, to the last grant.
func TestPgDumpThroughTheBrokerIsTheWholeTenant(t *testing.T) {
	pgDump, pgRestore := postgres(t, "pg_dump"), postgres(t, "pg_restore")
	formats := map[string][]string{
		"custom":    {"-Fc"},
		"directory": {"-Fd", "-j", "2"}, // three connections that share a snapshot
	}
	for format, flags := range formats {
		t.Run(format, func(t *testing.T) {
			everyWay(t, func(t *testing.T, w way) {
				dump := filepath.Join(t.TempDir(), "dump")
				program{path: pgDump, args: append(flags, "-f", dump, "-d", w.through(t))}.run(t)

				restored := emptyDatabase(t)
				program{path: pgRestore, args: []string{"--exit-on-error", "-j", "2", "-d", onServer(t, restored), dump}}.run(t)
				require.Equal(t, contents(t, w.database), contents(t, restored))
				require.Equal(t, schema(t, pgDump, w.database), schema(t, pgDump, restored))
			})
		})
	}
}

// Restoring rows is what a tenant's user may do; making tables is not.
func TestPgRestoreThroughTheBrokerBringsRowsBack(t *testing.T) {
	pgDump, pgRestore := postgres(t, "pg_dump"), postgres(t, "pg_restore")
	for _, tn := range dev.tenants {
		for _, transport := range []string{plain, encrypted} {
			// One after another: each run empties the table it fills.
			t.Run(tn.slug+"/"+transport, func(t *testing.T) {
				w := way{tenant: tn, transport: transport}
				conn, err := pgx.Connect(t.Context(), w.through(t))
				require.NoError(t, err)
				defer conn.Close(t.Context())
				_, err = conn.Exec(t.Context(), `INSERT INTO users (email, name)
					SELECT format('%s-%s@example.com', n, gen_random_uuid()), E'Tab\t, "quotes", \\ and é: ' || n FROM generate_series(1, 5000) n`)
				require.NoError(t, err)
				before := contents(t, w.database)

				dump := filepath.Join(t.TempDir(), "users.dump")
				program{path: pgDump, args: []string{"-Fc", "-t", "users", "-f", dump, "-d", w.through(t)}}.run(t)
				_, err = conn.Exec(t.Context(), "DELETE FROM users")
				require.NoError(t, err)
				require.NotEqual(t, before, contents(t, w.database))

				program{path: pgRestore, args: []string{"--exit-on-error", "--data-only", "-d", w.through(t), dump}}.run(t)
				require.Equal(t, before, contents(t, w.database))

				tables := program{path: pgRestore, args: []string{"--exit-on-error", "--schema-only", "-d", w.through(t), dump}}
				_, complaints, err := tables.try(t.Context())
				require.Error(t, err)
				require.Contains(t, complaints, "permission denied for schema public")
			})
		}
	}
}

// databases counts those that emptyDatabase made.
var databases atomic.Int64

// emptyDatabase makes a database on the private server for this test.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("restored_%d", databases.Add(1))
	onPostgres(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { onPostgres(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return name
}

func onPostgres(t *testing.T, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // cleanups run after it was cancelled
	conn, err := pgx.Connect(ctx, dev.Info.ServerURL)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}

// contents is a line for each table of the database: how many rows, and a sum
// over them that no order changes.
func contents(t *testing.T, database string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), onServer(t, database))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, tables, "accounts")

	var all strings.Builder
	for _, table := range tables {
		var line string
		require.NoError(t, conn.QueryRow(t.Context(), fmt.Sprintf(
			`SELECT format('%%s rows, %%s', count(*), sum(('x' || left(md5(r::text), 16))::bit(64)::bigint::numeric)) FROM %s r`,
			pgx.Identifier{"public", table}.Sanitize())).Scan(&line))
		fmt.Fprintf(&all, "%s: %s\n", table, line)
	}
	return all.String()
}

// schema is what pg_dump says of a database without its rows, less the lines
// that differ at every run.
func schema(t *testing.T, pgDump, database string) string {
	t.Helper()
	out := program{path: pgDump, args: []string{"--schema-only", "-d", onServer(t, database)}}.run(t)
	lines := strings.Split(out, "\n")
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
