package fleet_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// Who has no server when PostgreSQL goes away waits until it is back, and only who
// has one is told.
func TestPostgresRestartedUnderAHundredClients(t *testing.T) {
	ctx := bounded(t)
	r := serve(t)
	const clients, poolSize = 100, 10
	c := gather(t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa", PoolSize: poolSize, MaxClients: 2 * clients})
	c.join(clients, tn.at(r), "SELECT pg_sleep(0.005)")
	for range size(1, 10) {
		c.more(ctx, t, 500)
		c.forget()
		fleet.databases.away(t)
		fleet.databases.back(t)
		c.more(ctx, t, 500)
		t.Logf("errors: %v", c.blamed())
		sum := 0
		for what, n := range c.blamed() {
			require.Contains(t, []string{pgerrcode.AdminShutdown, pgerrcode.ConnectionFailure}, what)
			sum += n
		}
		require.LessOrEqual(t, sum, 2*poolSize, "who waited was not told")
		w := fleet.databases.watch(t)
		await(ctx, t, "a pool as large as before", func() bool {
			n, err := w.sessions(ctx, tn.Database)
			require.NoError(t, err)
			return n == poolSize
		})
	}
}

// A server that starts answers 57P03 for as long as it recovers. A standby that
// lets nobody in answers the same, until it is promoted.
func TestAServerThatStartsIsWaitedFor(t *testing.T) {
	ctx := bounded(t)
	r := serve(t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-alfa"})
	conn := guest(ctx, t, tn.at(r))
	require.NoError(t, run(conn, "SELECT 1"))

	db := fleet.databases
	db.away(t)
	data := filepath.Join(db.config.Data, "cluster")
	file(t, filepath.Join(data, "standby.signal"))
	db.config.Settings["hot_standby"] = "off"
	defer delete(db.config.Settings, "hot_standby")
	waiting := begin(conn, "SELECT 1")
	started := make(chan error, 1)
	go func() { started <- db.start(ctx) }()
	await(ctx, t, "refused logins", func() bool { return db.logLines(t, "database system is not accepting connections") > 1 })
	newcomer := make(chan error, 1)
	go func() { newcomer <- try(ctx, tn.at(r)) }()
	select {
	case err := <-waiting:
		require.FailNow(t, "the client was not kept waiting", "%v", err)
	default:
	}

	file(t, filepath.Join(data, "promote"))
	require.NoError(t, syscall.Kill(postmaster(t, data), syscall.SIGUSR1))
	require.NoError(t, outcome(ctx, t, started))
	require.NoError(t, outcome(ctx, t, waiting))
	require.NoError(t, outcome(ctx, t, newcomer))
}

// file makes an empty file that the user postgres may write.
func file(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, nil, 0o666))
	require.NoError(t, os.Chmod(path, 0o666))
}

// postmaster is the process id of the server that runs on data.
func postmaster(t *testing.T, data string) (pid int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err = strconv.Atoi(first)
	require.NoError(t, err)
	return pid
}
