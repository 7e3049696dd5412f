package migrations

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

// These tests run sets of their own making, which only the inside can build.

func sqlFiles(kv ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(kv); i += 2 {
		m["t/"+kv[i]+".up.sql"] = &fstest.MapFile{Data: []byte(kv[i+1])}
		m["t/"+kv[i]+".down.sql"] = &fstest.MapFile{Data: []byte("SELECT 1")}
	}
	return m
}

func testSet(t *testing.T, kv ...string) Set {
	t.Helper()
	s, err := load(sqlFiles(kv...), "t", "public", "public")
	require.NoError(t, err)
	return s
}

func testConn(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func testVersion(t *testing.T, s Set, conn *pgx.Conn) uint64 {
	t.Helper()
	v, err := s.Version(t.Context(), conn)
	require.NoError(t, err)
	return v
}

func TestFailedFileLeavesNothingAndTheNextRunContinues(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	broken := testSet(t, "000001_one", "CREATE TABLE one ()",
		"000002_two", "CREATE TABLE two ();\n\nSELECT nonsense;\nCREATE TABLE never ()", "000003_three", "CREATE TABLE three ()")

	var seen []Applied
	err := broken.Up(t.Context(), conn, func(a Applied) { seen = append(seen, a) })
	require.ErrorContains(t, err, "t migration 000002_two: line 3:")
	require.Equal(t, pgerrcode.UndefinedColumn, sqlstate(err))
	require.Len(t, seen, 2)
	require.NoError(t, seen[0].Err)
	require.Positive(t, seen[0].Duration)
	require.Equal(t, "two", seen[1].Name)
	require.Equal(t, uint64(2), seen[1].Version)
	require.Equal(t, pgerrcode.UndefinedColumn, sqlstate(seen[1].Err))
	require.EqualValues(t, 1, testVersion(t, broken, conn))
	var left int
	require.NoError(t, conn.QueryRow(t.Context(),
		"SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename IN ('two', 'never')").Scan(&left))
	require.Zero(t, left)

	whole := testSet(t, "000001_one", "", "000002_two", "CREATE TABLE two ()", "000003_three", "CREATE TABLE three ()")
	require.NoError(t, whole.Up(t.Context(), conn, nil))
	require.EqualValues(t, 3, testVersion(t, whole, conn))
}

func TestTableLockEndsIn55P03(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, holder := testConn(t, url), testConn(t, url)
	s := testSet(t, "000001_one", "CREATE TABLE one ()", "000002_two", "ALTER TABLE one ADD COLUMN x int")
	first := testSet(t, "000001_one", "CREATE TABLE one ()")
	require.NoError(t, first.Up(t.Context(), conn, nil))

	tx, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM one")
	require.NoError(t, err)
	start := time.Now()
	err = s.Up(t.Context(), conn, nil)
	require.Equal(t, pgerrcode.LockNotAvailable, sqlstate(err), "%v", err)
	require.Less(t, time.Since(start), 3*lockTimeout)
	require.EqualValues(t, 1, testVersion(t, s, conn))

	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, s.Up(t.Context(), conn, nil), "nothing is dirty: it just runs again")
}

func TestSecondRunEndsIn55P03(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := testConn(t, url), testConn(t, url)
	s := testSet(t, "000001_one", "CREATE TABLE one ()")
	d := &driver{ctx: t.Context(), conn: a, table: pgx.Identifier{"public", versionTable}, path: "public", wait: lockTimeout}
	require.NoError(t, d.lock())
	err := s.Up(t.Context(), b, nil)
	require.Equal(t, pgerrcode.LockNotAvailable, sqlstate(err), "%v", err)
	require.ErrorContains(t, err, "another migration run holds the lock")
	require.NoError(t, d.unlock())
	require.NoError(t, s.Up(t.Context(), b, nil))
}

func TestFileMustNotEndItsTransaction(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	s := testSet(t, "000001_one", "CREATE TABLE one (); COMMIT; CREATE TABLE two ()")
	require.ErrorContains(t, s.Up(t.Context(), conn, nil), "must not contain COMMIT")
	require.Zero(t, testVersion(t, s, conn))
}

func TestDeferredConstraintOfAFileFailsTheFile(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	s := testSet(t, "000001_one", `CREATE TABLE a (id int PRIMARY KEY);
		CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED); INSERT INTO b VALUES (1)`)
	err := s.Up(t.Context(), conn, nil)
	require.Equal(t, pgerrcode.ForeignKeyViolation, sqlstate(err), "%v", err)
	require.Zero(t, testVersion(t, s, conn))
	require.EqualValues(t, 'I', conn.PgConn().TxStatus())
}

func TestDatabaseAheadOfTheBinary(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	long := testSet(t, "000001_one", "SELECT 1", "000002_two", "SELECT 1")
	require.NoError(t, long.Up(t.Context(), conn, nil))
	short := testSet(t, "000001_one", "SELECT 1")
	require.ErrorIs(t, short.Up(t.Context(), conn, nil), ErrAhead)
}

func TestCancelledRunEndsAndFreesTheLock(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := testSet(t, "000001_one", "CREATE TABLE one ()", "000002_two", "CREATE TABLE two (); SELECT pg_sleep(60)")
	ctx, cancel := context.WithCancel(t.Context())
	conn, watch := testConn(t, url), testConn(t, url)
	ended := make(chan error, 1)
	go func() { ended <- s.Up(ctx, conn, nil) }()
	require.Eventually(t, func() bool {
		var n int
		err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()").Scan(&n)
		return err == nil && n == 1
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.EqualValues(t, 1, testVersion(t, s, watch))

	require.Eventually(t, func() bool { // until the server has noticed that the client is gone
		_, err := watch.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
		return err == nil && testSet(t, "000001_one", "").Up(t.Context(), watch, nil) == nil
	}, 10*time.Second, 10*time.Millisecond)
}

func TestTransactionOfTheCallerIsRefused(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	require.ErrorContains(t, testSet(t, "000001_one", "").Up(t.Context(), conn, nil), "inside a transaction")
}

func TestEveryVersionHasBothFiles(t *testing.T) {
	t.Parallel()
	m := sqlFiles("000001_one", "SELECT 1")
	delete(m, "t/000001_one.down.sql")
	_, err := load(m, "t", "public", "public")
	require.Error(t, err)
}

func TestVersionTableIsNotTheAppsToWrite(t *testing.T) {
	t.Parallel()
	conn := testConn(t, pgtest.Database(t))
	const app = "vt_app"
	_, err := conn.Exec(t.Context(), "CREATE ROLE "+app+"; ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "+app)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = conn.Exec(context.Background(), "DROP OWNED BY "+app+"; DROP ROLE "+app) })
	require.NoError(t, testSet(t, "000001_one", "").Up(t.Context(), conn, nil))
	for privilege, want := range map[string]bool{"SELECT": true, "INSERT": false, "UPDATE": false, "DELETE": false} {
		var has bool
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT has_table_privilege($1, 'public.schema_migrations', $2)", app, privilege).Scan(&has))
		require.Equal(t, want, has, privilege)
	}
}
