package fence_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/fence"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const rolePassword = "a-password-of-the-tests"

// A house is a tenant's database with a role that may enter it, and an admin
// that may signal backends and owns the database, as dermaga_admin does.
type house struct {
	*testing.T
	tenant    registry.Tenant
	super     *pgx.Conn
	fence     fence.Fence
	app, boss string // roles
}

func newHouse(t *testing.T) *house {
	at, err := url.Parse(pgtest.Database(t))
	require.NoError(t, err)
	database := at.Path[1:]
	h := &house{T: t, app: database + "_app", boss: database + "_admin", tenant: registry.Tenant{Slug: "pt-a", Server: "local", Database: database}}
	h.super = h.connect(pgtest.URL(t))
	for _, sql := range []string{
		`CREATE ROLE ` + h.boss + ` LOGIN CREATEDB CREATEROLE PASSWORD '` + rolePassword + `' IN ROLE pg_signal_backend`,
		`CREATE ROLE ` + h.app + ` LOGIN PASSWORD '` + rolePassword + `'`,
		`ALTER DATABASE ` + database + ` OWNER TO ` + h.boss,
		`GRANT CONNECT ON DATABASE postgres TO ` + h.boss,
	} {
		h.exec(sql)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		for _, sql := range []string{
			`ALTER DATABASE ` + database + ` OWNER TO CURRENT_USER`,
			`REVOKE ALL ON DATABASE postgres FROM ` + h.boss, `DROP ROLE ` + h.app, `DROP ROLE ` + h.boss,
		} {
			_, err := h.super.Exec(ctx, sql)
			require.NoError(t, err)
		}
		require.NoError(t, h.super.Close(ctx))
	})
	h.fence.Connect = func(ctx context.Context, _ int64) (*pgx.Conn, error) {
		return pgx.Connect(ctx, h.as(h.boss, "postgres"))
	}
	return h
}

func (h *house) exec(sql string) {
	h.Helper()
	_, err := h.super.Exec(h.Context(), sql)
	require.NoError(h, err)
}

func (h *house) connect(at string) *pgx.Conn {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), at)
	require.NoError(h, err)
	return conn
}

func (h *house) as(role, database string) string {
	u, err := url.Parse(pgtest.URL(h))
	require.NoError(h, err)
	u.User, u.Path = url.UserPassword(role, rolePassword), "/"+database
	return u.String()
}

func (h *house) client() *pgx.Conn {
	conn := h.connect(h.as(h.app, h.tenant.Database))
	h.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, code, pg.Code, pg.Message)
}

func TestClosedDatabaseEndsItsSessionsAndLetsNobodyIn(t *testing.T) {
	h := newHouse(t)
	idle, busy := h.client(), h.client()
	tx, err := busy.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT 1`)
	require.NoError(t, err)

	ended, err := h.fence.Close(t.Context(), h.tenant)
	require.NoError(t, err)
	require.Equal(t, 2, ended)
	_, err = tx.Exec(t.Context(), `SELECT 1`)
	require.Error(t, err)
	_, err = idle.Exec(t.Context(), `SELECT 1`)
	require.Error(t, err)
	_, err = pgx.Connect(t.Context(), h.as(h.app, h.tenant.Database))
	requireCode(t, pgerrcode.TooManyConnections, err)

	ended, err = h.fence.Close(t.Context(), h.tenant) // twice is once
	require.NoError(t, err)
	require.Zero(t, ended)

	require.NoError(t, h.fence.Open(t.Context(), h.tenant, 1))
	h.client()
	_, err = pgx.Connect(t.Context(), h.as(h.app, h.tenant.Database))
	requireCode(t, pgerrcode.TooManyConnections, err)
}

func TestSuperusersAndOtherDatabasesAreLeftAlone(t *testing.T) {
	h, other := newHouse(t), newHouse(t)
	visitor := h.connect(h.asSuper())
	defer visitor.Close(context.Background())
	neighbour := other.client()
	ended, err := h.fence.Close(t.Context(), h.tenant)
	require.NoError(t, err)
	require.Zero(t, ended)
	require.NoError(t, visitor.Ping(t.Context()))
	require.NoError(t, neighbour.Ping(t.Context()))
}

func (h *house) asSuper() string {
	u, err := url.Parse(pgtest.URL(h))
	require.NoError(h, err)
	u.Path = "/" + h.tenant.Database
	return u.String()
}

func TestSessionsThatComeWhileTheFenceClosesAreEnded(t *testing.T) {
	h := newHouse(t)
	ctx, stop := context.WithCancel(t.Context())
	came := make(chan *pgx.Conn, 1)
	go func() { // until it is refused
		defer close(came)
		for ctx.Err() == nil {
			conn, err := pgx.Connect(ctx, h.as(h.app, h.tenant.Database))
			if err != nil {
				return
			}
			came <- conn
		}
	}()
	conns := []*pgx.Conn{<-came}
	closed := make(chan error, 1)
	go func() {
		_, err := h.fence.Close(t.Context(), h.tenant)
		closed <- err
	}()
	for conn := range came {
		conns = append(conns, conn)
	}
	stop()
	require.NoError(t, <-closed)
	for _, conn := range conns {
		require.Error(t, conn.Ping(t.Context()))
		_ = conn.Close(t.Context())
	}
}

func TestMissingDatabaseIsClosed(t *testing.T) {
	h := newHouse(t)
	gone := h.tenant
	gone.Database = "never_made"
	_, err := h.fence.Close(t.Context(), gone)
	require.NoError(t, err)
	require.NoError(t, h.fence.Open(t.Context(), gone, 3))
}

func TestMissingRightToEndSessionsIsNamed(t *testing.T) {
	h := newHouse(t)
	h.client()
	h.exec(`REVOKE pg_signal_backend FROM ` + h.boss)
	_, err := h.fence.Close(t.Context(), h.tenant)
	require.ErrorContains(t, err, "GRANT pg_signal_backend")
	require.ErrorContains(t, err, "fence of tenant pt-a at server local")
}
