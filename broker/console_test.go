package broker_test

import (
	"context"
	"errors"
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
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

// staff gives w service logins for each right to the console, called as the right
// is, with the password "right".
func staff(w *town) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, right := range map[string]string{"admin": "admin", "stats": "stats", "api": ""} {
		w.service[name] = registry.Entry{Login: &registry.Login{
			ID: "login-" + name, Name: name, Service: true, Kind: registry.App, Console: right, Verifiers: []string{verifier("right")},
		}}
	}
}

// table runs a command of the console and returns its rows, by column.
func table(t testing.TB, conn *pgx.Conn, command string) []map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), command, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	defer rows.Close()
	var all []map[string]string
	for rows.Next() {
		row := map[string]string{}
		for i, v := range rows.RawValues() {
			row[rows.FieldDescriptions()[i].Name] = string(v)
		}
		all = append(all, row)
	}
	require.NoError(t, rows.Err(), command)
	return all
}

func do(t testing.TB, conn *pgx.Conn, command string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), command)
	require.NoError(t, err, command)
}

func sqlstate(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return told.Code
	}
	return ""
}

func TestOnlyServiceLoginsWithTheRightReachTheConsole(t *testing.T) {
	w := newTown()
	w.settle("one", fakeUpstream(t))
	staff(w)
	address := serve(t, w, withTLS(t))
	for _, database := range []string{"dermaga", "pgbouncer"} {
		for _, c := range []struct{ login, password, code string }{
			{"admin", "right", ""},
			{"stats", "right", ""},
			{"admin", "wrong", "28P01"},
			{"api", "right", "42501"},
			{"api", "wrong", "28P01"},
			{"one", "right", "28P01"}, // a tenant's own login is nobody here
			{"nobody", "right", "28P01"},
		} {
			conn, err := tryConnect(t.Context(), address, database, c.login, c.password)
			require.Equal(t, c.code, sqlstate(err), "%s at %s: %v", c.login, database, err)
			if err == nil {
				require.Equal(t, "1.26.1/bouncer", conn.PgConn().ParameterStatus("server_version"))
				_ = conn.Close(t.Context())
				continue
			}
			if c.code == "42501" {
				require.ErrorContains(t, err, "not allowed")
			}
		}
	}
	_, err := tryConnect(t.Context(), address, "one", "admin", "right")
	require.Equal(t, "3D000", sqlstate(err), "the console's right is none to a tenant")
}

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

// begins starts a query that a pause keeps waiting; the channel has its outcome.
func begins(conn *pgx.Conn, query string) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), query)
		outcome <- err
	}()
	return outcome
}

// waits until n clients are neither served nor refused.
func waits(t testing.TB, b *broker.Broker, n int) {
	t.Helper()
	eventually(t, func() bool {
		s, err := b.Stats(t.Context())
		return err == nil && len(s.Pools) > 0 && s.Pools[0].Waiting == n
	}, "waiting")
}

func TestPauseWaitsForTransactionsAndKeepsNewOnesWaiting(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	staff(w)
	b, address := serveBroker(t, w)
	boss, other := connect(t, address, "dermaga", "admin", "right"), connect(t, address, "dermaga", "admin", "right")
	client, second := connect(t, address, "one", "one", "right"), connect(t, address, "one", "one", "right")
	for _, target := range []string{"", " one"} {
		do(t, client, "BEGIN")
		do(t, client, "SELECT 1")
		paused := begins(boss, "PAUSE"+target)
		eventually(t, func() bool {
			d := table(t, other, "SHOW DATABASES")
			return d[0]["paused"] == "1"
		}, "paused")
		held := begins(second, "SELECT 2")
		waits(t, b, 1)
		require.Empty(t, paused)
		do(t, client, "COMMIT")
		require.NoError(t, <-paused)
		require.Empty(t, held)
		eventually(t, func() bool { return len(table(t, other, "SHOW SERVERS")) == 0 }, "servers are closed")

		late := connect(t, address, "one", "one", "right") // one may log in
		heldToo := begins(late, "SELECT 3")
		waits(t, b, 2)
		do(t, boss, "RESUME"+target)
		require.NoError(t, <-held)
		require.NoError(t, <-heldToo)

		_, err := boss.Exec(t.Context(), "RESUME"+target)
		require.Equal(t, "55000", sqlstate(err))
	}
}

func TestAPauseOfEverythingHoldsTenantsThatComeLater(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	w.settle("two", realUpstream(t))
	staff(w)
	b, address := serveBroker(t, w)
	boss := connect(t, address, "dermaga", "admin", "right")
	do(t, boss, "PAUSE")
	require.Equal(t, "yes", table(t, boss, "SHOW STATE")[1]["value"])
	_, err := boss.Exec(t.Context(), "PAUSE one")
	require.Equal(t, "55000", sqlstate(err))
	client := connect(t, address, "two", "two", "right")
	held := begins(client, "SELECT 1")
	waits(t, b, 1)
	require.Empty(t, held)
	do(t, boss, "RESUME")
	require.NoError(t, <-held)
	require.Equal(t, "no", table(t, boss, "SHOW STATE")[1]["value"])
}

func TestCtrlCUndoesAPause(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	staff(w)
	_, address := serveBroker(t, w)
	boss, other := connect(t, address, "pgbouncer", "admin", "right"), connect(t, address, "pgbouncer", "admin", "right")
	client, second := connect(t, address, "one", "one", "right"), connect(t, address, "one", "one", "right")
	do(t, client, "BEGIN")
	paused := begins(boss, "PAUSE one")
	eventually(t, func() bool { return table(t, other, "SHOW DATABASES")[0]["paused"] == "1" }, "paused")
	require.NoError(t, boss.PgConn().CancelRequest(t.Context()))
	require.Equal(t, "57014", sqlstate(<-paused))
	require.Equal(t, "0", table(t, other, "SHOW DATABASES")[0]["paused"])
	do(t, second, "SELECT 1")

	paused = begins(boss, "PAUSE one")
	eventually(t, func() bool { return table(t, other, "SHOW DATABASES")[0]["paused"] == "1" }, "paused")
	do(t, other, "RESUME one")
	require.Equal(t, "55000", sqlstate(<-paused), "somebody else ended it")
	do(t, client, "COMMIT")
}

func TestKillEndsEverybodyAtOnceAndPauses(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	w.settle("two", realUpstream(t))
	staff(w)
	b, address := serveBroker(t, w)
	boss := connect(t, address, "dermaga", "admin", "right")
	busy, idle := connect(t, address, "one", "one", "right"), connect(t, address, "one", "one", "right")
	bystander := connect(t, address, "two", "two", "right")
	do(t, idle, "SELECT 1")
	ended := begins(busy, "SELECT pg_sleep(1000)")
	asleep(t, up.role, 1)
	do(t, boss, "KILL one")
	require.Equal(t, "57P01", sqlstate(<-ended))
	_, err := idle.Exec(t.Context(), "SELECT 1")
	require.Equal(t, "57P01", sqlstate(err))
	require.ErrorContains(t, err, "admin forced disconnect")
	do(t, bystander, "SELECT 1")
	eventually(t, func() bool {
		return !slices.ContainsFunc(table(t, boss, "SHOW SERVERS"), func(s map[string]string) bool { return s["database"] == "one" })
	}, "its servers are gone")

	held := begins(connect(t, address, "one", "one", "right"), "SELECT 1")
	waits(t, b, 1)
	do(t, boss, "RESUME one")
	require.NoError(t, <-held)
}

func TestKillClientEndsOne(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	staff(w)
	_, address := serveBroker(t, w)
	boss := connect(t, address, "dermaga", "admin", "right")
	victim, other := connect(t, address, "one", "one", "right"), connect(t, address, "one", "one", "right")
	ended := begins(victim, "SELECT pg_sleep(1000)")
	asleep(t, up.role, 1)
	for _, c := range table(t, boss, "SHOW CLIENTS") {
		if c["database"] == "one" && c["state"] == "active" {
			do(t, boss, "KILL_CLIENT "+c["id"])
		}
	}
	require.Equal(t, "57P01", sqlstate(<-ended))
	do(t, other, "SELECT 1")
	_, err := boss.Exec(t.Context(), "KILL_CLIENT 999999")
	require.Equal(t, "42704", sqlstate(err))
}

func TestReconnectReplacesServers(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	staff(w)
	address := serve(t, w)
	boss, client := connect(t, address, "dermaga", "admin", "right"), connect(t, address, "one", "one", "right")
	backend := func() (pid int) {
		require.NoError(t, client.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
		return pid
	}
	before := backend()
	require.Equal(t, before, backend())
	do(t, boss, "RECONNECT one")
	after := backend()
	require.NotEqual(t, before, after)
	do(t, boss, "RECONNECT")
	require.NotEqual(t, after, backend())
	_, err := boss.Exec(t.Context(), "RECONNECT nobody")
	require.Equal(t, "3D000", sqlstate(err))
}

func TestReloadIsTheCallersToDo(t *testing.T) {
	w := newTown()
	staff(w)
	var failure error
	n := 0
	address := serve(t, w, func(c *broker.Config) {
		c.Reload = func(context.Context) error {
			n++
			return failure
		}
	})
	boss := connect(t, address, "dermaga", "admin", "right")
	do(t, boss, "RELOAD")
	require.Equal(t, 1, n)
	failure = errors.New("no such file")
	_, err := boss.Exec(t.Context(), "RELOAD")
	require.Equal(t, "F0000", sqlstate(err))
	require.NotContains(t, err.Error(), "no such file", "that is for the log")
}

func TestAConsoleLoginThatIsTakenAwayEnds(t *testing.T) {
	w := newTown()
	staff(w)
	address := serve(t, w)
	boss := connect(t, address, "dermaga", "admin", "right")
	do(t, boss, "RECONNECT")
	become := func(name, right string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		e := w.service[name]
		l := *e.Login
		l.Console = right
		e.Login = &l
		w.service[name] = e
	}
	become("admin", "stats")
	_, err := boss.Exec(t.Context(), "RECONNECT")
	require.Equal(t, "42501", sqlstate(err))
	w.mu.Lock()
	w.down = true
	w.mu.Unlock()
	do(t, boss, "SHOW STATE") // the registry's absence takes nothing away
	w.mu.Lock()
	w.down = false
	w.mu.Unlock()
	become("admin", "")
	_, err = boss.Exec(t.Context(), "SHOW STATE")
	require.Equal(t, "57P01", sqlstate(err))
}

func TestTheConsoleSeesADrainToItsEnd(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	staff(w)
	b, address := serveBroker(t, w)
	boss, client := connect(t, address, "dermaga", "admin", "right"), connect(t, address, "one", "one", "right")
	do(t, client, "BEGIN")
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- b.Shutdown(ctx)
	}()
	eventually(t, func() bool { return !b.Ready() }, "draining")
	require.NotEmpty(t, table(t, boss, "SHOW SERVERS"))
	do(t, client, "COMMIT")
	require.NoError(t, <-ended)
	_, err := boss.Exec(t.Context(), "SHOW STATE")
	require.Equal(t, "57P01", sqlstate(err))
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

func TestTheConsoleHasSoManyPlaces(t *testing.T) {
	w := newTown()
	staff(w)
	address := serve(t, w)
	for range broker.MaxVisits {
		require.Nil(t, fakepg.Dial(t, address).Login(3<<16, "right", "user", "stats", "database", "pgbouncer"))
	}
	_, err := tryConnect(t.Context(), address, "pgbouncer", "stats", "right")
	require.Equal(t, "53300", sqlstate(err))
}
