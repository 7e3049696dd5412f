package broker_test

import (
	"context"
	"flag"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

// whenever is a time as the console writes it.
var whenever = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)

// volatile columns differ from run to run; the test of the console's own package has their values.
var volatile = []string{
	"port", "local_port", "remote_pid", "server_pid", "since", "maxwait_us", "wait_us", "id", "ptr", "link", "client_id", "server_id", "idle_seconds",
	"total_received", "total_sent", "total_xact_time", "total_wait_time", "bytes_received", "bytes_sent", "xact_time", "wait_time",
}

func TestShowTellsOfARealBroker(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("pt-satu", up)
	w.alter("pt-satu", "pt-satu", func(e *registry.Entry) { e.Route.PoolSize = 3 })
	staff(w)
	address := serve(t, w, withTLS(t), func(c *broker.Config) { c.Version, c.Loops = "1.0.0", 2 })
	named := func(name string) func(*pgx.ConnConfig) {
		return func(c *pgx.ConnConfig) { c.RuntimeParams["application_name"] = name }
	}
	idle := connect(t, address, "pt-satu", "pt-satu", "right", named("idle"))
	busy := connect(t, address, "pt-satu", "pt-satu", "right", named("busy"))
	do(t, busy, "BEGIN")
	done := connect(t, address, "pt-satu", "pt-satu", "right", named("done"))
	do(t, done, "BEGIN")
	keeps := connect(t, address, "pt-satu", "pt-satu", "right", named("keeps"))
	do(t, keeps, "LISTEN news")
	stats := connect(t, address, "pgbouncer", "stats", "right", named("exporter"))
	served := begins(idle, "SELECT 1") // what the others left is looked at when a server is needed
	eventually(t, func() bool { return len(table(t, stats, "SHOW PINS")) > 0 }, "pinned")
	do(t, done, "COMMIT")
	require.NoError(t, <-served)

	for _, name := range []string{"CLIENTS", "CONFIG", "DATABASES", "LISTS", "PINS", "POOLS", "SERVERS", "STATE", "STATS", "STATS_TOTALS", "USERS", "VERSION"} {
		var b strings.Builder
		for _, row := range table(t, stats, "SHOW "+name) {
			if row["key"] == "loops" {
				row["default"] = "of this machine"
			}
			for _, column := range slices.Sorted(maps.Keys(row)) {
				value := row[column]
				counted := row["database"] == "pgbouncer" && strings.HasSuffix(column, "_count") // the questions above
				if slices.Contains(volatile, column) || strings.HasPrefix(column, "avg_") || counted {
					value = "…"
				}
				value = strings.ReplaceAll(strings.ReplaceAll(value, up.role, "ROLE"), up.database, "DATABASE")
				value = whenever.ReplaceAllString(value, "TIME")
				b.WriteString(column + " = " + value + "\n")
			}
			b.WriteString("\n")
		}
		golden := filepath.Join("testdata", "console", strings.ToLower(name)+".golden")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
			require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), b.String(), name)
	}
}

func TestPsqlShowsTheConsole(t *testing.T) {
	psql, err := osexec.LookPath("psql")
	if err != nil {
		t.Skip("psql is missing: apt-get install postgresql-client")
	}
	w := newTown()
	w.settle("pt-satu", realUpstream(t))
	staff(w)
	address := serve(t, w, withTLS(t))
	do(t, connect(t, address, "pt-satu", "pt-satu", "right"), "SELECT 1")
	for _, mode := range []string{"disable", "require"} {
		run := func(args ...string) string {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := osexec.CommandContext(ctx, psql, append([]string{"postgres://admin@" + address + "/pgbouncer?sslmode=" + mode, "-X"}, args...)...)
			cmd.Env = append(os.Environ(), "PGPASSWORD=right")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			return string(out)
		}
		require.Regexp(t, `(?m)^ +database +\|.*pool_mode.*\n-+\+-.*\n pgbouncer .*\n pt-satu `, run("-c", "SHOW POOLS"))
		require.Regexp(t, `(?s)-\[ RECORD 1 \]-.*\ndatabase +\| pgbouncer\n.*-\[ RECORD 2 \]-.*\ndatabase +\| pt-satu\n`, run("-c", `\x`, "-c", "SHOW POOLS;"))
		require.Equal(t, "PAUSE\nRESUME\n", run("-c", "PAUSE pt-satu", "-c", "RESUME pt-satu"))
		help := run("-c", "SHOW HELP")
		require.Contains(t, help, "NOTICE:  Console usage")
		require.Contains(t, help, "KILL_CLIENT <client_id>")
	}
}
