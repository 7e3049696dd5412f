package fleet_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
)

// A cluster is a private PostgreSQL that keeps its address and its data when it is
// stopped and started.
type cluster struct {
	config privatepg.Config
	server *privatepg.Server
}

func newCluster(data string) *cluster {
	return &cluster{config: privatepg.Config{
		Bin: os.Getenv("DERMAGA_TEST_POSTGRES_BIN"), Fetch: true,
		Data: data, Password: rand.Text(),
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"max_connections": "150",
		},
	}}
}

func (c *cluster) start(ctx context.Context) (err error) {
	if c.server, err = privatepg.Start(ctx, c.config); err == nil {
		c.config.Port = c.server.Port()
	}
	return err
}

func (c *cluster) stop() error { return c.server.Stop() }

// away stops the cluster. When the test ends it runs again.
func (c *cluster) away(t *testing.T) {
	t.Helper()
	require.NoError(t, c.stop())
	t.Cleanup(func() {
		select {
		case <-c.server.Done():
			c.back(t)
		default: // it does already
		}
	})
}

func (c *cluster) back(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startLimit)
	defer cancel()
	require.NoError(t, c.start(ctx))
}

// log is what the server has said since its start: nothing yet while it opens its
// log.
func (c *cluster) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.config.Data, "server.log"))
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return string(text)
}

// connect logs in as the superuser.
func (c *cluster) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	return c.connectTo(t, "postgres")
}

func (c *cluster) connectTo(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	u, err := url.Parse(c.server.URL())
	require.NoError(t, err)
	u.Path = "/" + database
	conn, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the server may be gone
	})
	return conn
}

// run executes one statement as the superuser.
func (c *cluster) run(t *testing.T, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // cleanups call it too
	defer cancel()
	conn, err := pgx.Connect(ctx, c.server.URL())
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}

// A watch counts the sessions that roles of tenants have at the server.
type watch struct {
	conn *pgx.Conn
}

func (c *cluster) watch(t *testing.T) watch { return watch{c.connect(t)} }

// sessions counts those that are in the tenant's database, or in all if it is "".
func (w watch) sessions(ctx context.Context, database string) (n int, err error) {
	const count = `SELECT count(*) FROM pg_stat_activity
		WHERE usename LIKE 't\_%' AND ($1 = '' OR datname = $1)`
	if err := w.conn.QueryRow(ctx, count, database).Scan(&n); err != nil {
		return 0, fmt.Errorf("count sessions: %w", err)
	}
	return n, nil
}

// running waits until n sessions run a statement with that text.
func (w watch) running(ctx context.Context, t *testing.T, n int, text string) {
	t.Helper()
	const count = `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename LIKE 't\_%' AND query LIKE '%' || $1 || '%'`
	await(ctx, t, fmt.Sprintf("%d sessions that run %q", n, text), func() bool {
		var have int
		require.NoError(t, w.conn.QueryRow(ctx, count, text).Scan(&have))
		return have == n
	})
}

// empty waits until no role of a tenant has a session.
func (w watch) empty(ctx context.Context, t *testing.T) {
	t.Helper()
	await(ctx, t, "the end of all tenants' sessions", func() bool {
		n, err := w.sessions(ctx, "")
		require.NoError(t, err)
		return n == 0
	})
}

// often is how often a condition is looked at.
const often = 10 * time.Millisecond

// await returns when so is true, and fails the test when ctx ends before.
func await(ctx context.Context, t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(often)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, "waited in vain for "+what, context.Cause(ctx).Error())
		}
	}
}

// logLines counts the lines of the server's log that contain text.
func (c *cluster) logLines(t *testing.T, text string) int { return strings.Count(c.log(t), text) }
