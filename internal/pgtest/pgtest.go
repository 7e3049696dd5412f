package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
)

// startLimit bounds the start of the cluster: initdb takes about a second on an
// idle machine.
const startLimit = 2 * time.Minute

// cluster is the test process's one server.
var cluster struct {
	sync.Mutex
	server *privatepg.Server
	dir    string
	err    error // of the first start: no test tries again
}

var databases atomic.Int64

// Main is Run, and exits.
func Main(m *testing.M, ignore ...goleak.Option) { os.Exit(Run(m, ignore...)) }

// Run runs the tests, stops the cluster if one was started, fails when
// goroutines are left over, and returns the exit code.
func Run(m *testing.M, ignore ...goleak.Option) int {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(ignore...); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest: after all tests:", err)
			code = 1
		}
	}
	return code
}

// Server is the process's cluster; tests must not stop it.
func Server(t testing.TB) *privatepg.Server {
	t.Helper()
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.server == nil && cluster.err == nil {
		cluster.server, cluster.err = start()
	}
	require.NoError(t, cluster.err, "start the tests' PostgreSQL")
	return cluster.server
}

// URL is where the cluster's superuser connects.
func URL(t testing.TB) string {
	t.Helper()
	return Server(t).URL()
}

// Database makes an empty database that is dropped when the test ends, and
// returns where the superuser connects to it.
func Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	ident := pgx.Identifier{name}.Sanitize()
	run(t, "CREATE DATABASE "+ident+" TEMPLATE template0") // template1 may have a visitor
	t.Cleanup(func() { run(t, "DROP DATABASE IF EXISTS "+ident+" WITH (FORCE)") })

	u, err := url.Parse(URL(t))
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func run(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, URL(t))
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}

const dirPrefix = "dermaga-pgtest-"

func start() (*privatepg.Server, error) {
	sweep()
	// Not below t.TempDir or TMPDIR of root: the user postgres has to get there.
	dir, err := os.MkdirTemp("/tmp", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	cluster.dir = dir
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return privatepg.Start(ctx, privatepg.Config{
		Bin:      os.Getenv("DERMAGA_TEST_POSTGRES_BIN"),
		Data:     filepath.Join(dir, "postgres"),
		Password: rand.Text(),
		Fetch:    true,
		Settings: map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			"max_connections":    "300",
			"wal_level":          "logical", // for what replicates
		},
	})
}

func stop() error {
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.server != nil {
		if err := cluster.server.Stop(); err != nil {
			return err
		}
	}
	if cluster.dir == "" {
		return nil
	}
	return os.RemoveAll(cluster.dir)
}

// sweep removes what test processes that were killed left in /tmp.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join("/tmp", dirPrefix+"*"))
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && syscall.Kill(n, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
}
