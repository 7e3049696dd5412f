package clients_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const chartOfAccounts = "select code, name_id from accounts order by code limit 5"

func TestPsqlShowsTheChartOfAccounts(t *testing.T) {
	psql := postgres(t, "psql")
	everyWay(t, func(t *testing.T, w way) {
		out := program{path: psql, args: []string{w.through(t), "-XAt", "-c", chartOfAccounts}}.run(t)
		require.Equal(t, "1-0000|ASET\n1-1000|Aset Lancar\n1-1100|Kas\n1-1110|Kas Kecil\n1-1200|Bank\n", out)

		out = program{path: psql, args: []string{w.through(t), "-XAt", "-c", "select name from contacts where kind = 'OTHER'"}}.run(t)
		require.Equal(t, w.slug+"\n", out)
	})
}

func TestPsqlScriptSeesWhatItSeesDirectly(t *testing.T) {
	psql := postgres(t, "psql")
	everyWay(t, func(t *testing.T, w way) {
		script := func(url string) string {
			out, complaints, err := program{path: psql, args: []string{url, "-XA", "-f", "testdata/script.sql"}}.try(t.Context())
			require.NoError(t, err, complaints)
			return out + complaints
		}
		require.Equal(t, script(w.around(t)), script(w.through(t)))
	})
}

// Ctrl-C in psql is a CancelRequest on a connection of its own.
func TestPsqlInterruptEndsItsQuery(t *testing.T) {
	psql := postgres(t, "psql")
	everyWay(t, func(t *testing.T, w way) {
		asleep := "select pg_sleep(60), '" + w.transport + "'"
		interrupted := program{path: psql, args: []string{w.through(t), "-X", "-c", asleep}}

		ctx, cancel := context.WithTimeout(t.Context(), programLimit)
		defer cancel()
		c := interrupted.command(ctx)
		complaints, err := os.CreateTemp(t.TempDir(), "")
		require.NoError(t, err)
		c.Stderr = complaints
		require.NoError(t, c.Start())

		direct, err := pgx.Connect(ctx, w.around(t))
		require.NoError(t, err)
		defer direct.Close(ctx)
		for running := 0; running == 0; {
			require.NoError(t, direct.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"+
				" AND datname = current_database() AND query = $1", asleep).Scan(&running))
		}
		require.NoError(t, c.Process.Signal(syscall.SIGINT))
		require.Error(t, c.Wait())

		said, err := os.ReadFile(complaints.Name())
		require.NoError(t, err)
		require.Contains(t, string(said), "canceling statement due to user request")
	})
}

func TestPsqlIsRefusedAtAnotherTenant(t *testing.T) {
	psql := postgres(t, "psql")
	everyWay(t, func(t *testing.T, w way) {
		for _, other := range append(dev.tenants, tenant{slug: "no-such-tenant"}) {
			if other.slug == w.slug {
				continue
			}
			trespass := program{path: psql, args: []string{w.at(t, other.slug), "-X", "-c", "select 1"}}
			out, complaints, err := trespass.try(t.Context())
			require.Error(t, err)
			require.Empty(t, out)
			require.Contains(t, complaints, "password authentication failed")
		}
	})
}
