package clients_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestPgxSeesWhatItSeesDirectly(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		directly := usePgx(t, w.around(t), t.Name()+" directly")
		require.Equal(t, []string{w.slug}, directly["owner"])
		require.Equal(t, directly, usePgx(t, w.through(t), t.Name()))
	})
}

// usePgx does what an application does with a pool of pgx, and returns what it
// saw. source marks the entries that it posts.
func usePgx(t *testing.T, url, source string) map[string]any {
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	defer cancel()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	defer pool.Close()

	saw := map[string]any{
		"owner":    column(ctx, t, pool, "SELECT name FROM contacts WHERE kind = 'OTHER'"),
		"accounts": column(ctx, t, pool, "SELECT code || ' ' || name_id FROM accounts ORDER BY code"),
		"batch":    batch(ctx, t, pool),
		"posted":   post(ctx, pool, source, 1110000, 1110000),
		"refused":  post(ctx, pool, source, 1110000, 1),
		"kept":     column(ctx, t, pool, "SELECT number IS NOT NULL || ' ' || status FROM journal_entries WHERE source = $1", source),
		"modes":    everyMode(ctx, t, pool),
		"copied":   copyBothWays(ctx, t, pool),
		"heard":    hear(ctx, t, pool),
		"canceled": cancelOne(ctx, t, pool, source),
	}
	shareThePool(ctx, t, pool)
	return saw
}

// column returns the answer's only column.
func column(ctx context.Context, t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []string {
	rows, err := pool.Query(ctx, sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return values
}

// batch sends ten statements before one Sync.
func batch(ctx context.Context, t *testing.T, pool *pgxpool.Pool) (names []string) {
	var b pgx.Batch
	for _, code := range []string{"1-1100", "1-1200", "1-1300", "2-1100", "4-1000"} {
		b.Queue("SELECT name_id FROM accounts WHERE code = $1", code).QueryRow(func(row pgx.Row) error {
			var name string
			err := row.Scan(&name)
			names = append(names, name)
			return err
		})
		b.Queue("SELECT count(*) FROM accounts WHERE code < $1", code)
	}
	require.NoError(t, pool.SendBatch(ctx, &b).Close())
	return names
}

// post posts an entry and returns the error's SQLSTATE.
func post(ctx context.Context, pool *pgxpool.Pool, source string, debit, credit int) string {
	return sqlState(pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var entry int64
		err := tx.QueryRow(ctx, `INSERT INTO journal_entries (entry_date, period_id, description, source)
			SELECT starts_on, id, 'sale', $1 FROM periods ORDER BY starts_on LIMIT 1 RETURNING id`, source).Scan(&entry)
		if err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"journal_lines"}, []string{"entry_id", "line_no", "account_id", "debit", "credit"},
			pgx.CopyFromRows([][]any{{entry, 1, 1, debit, 0}, {entry, 2, 2, 0, credit}}))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE journal_entries SET status = 'POSTED', posted_at = now(), number = 'X' || id WHERE id = $1", entry)
		return err
	}))
}

// everyMode asks the same in each way that pgx can: statements prepared and
// kept, described and kept, described each time, one round trip, simple.
func everyMode(ctx context.Context, t *testing.T, pool *pgxpool.Pool) (names []string) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		names = append(names, column(ctx, t, pool, "SELECT name_id FROM accounts WHERE code = $1", mode, "1-1100")...)
	}
	return names
}

// copyBothWays fills a temporary table by COPY and reads it back.
func copyBothWays(ctx context.Context, t *testing.T, pool *pgxpool.Pool) (sum int64) {
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(ctx, "CREATE TEMP TABLE IF NOT EXISTS basket (n bigint, what text)")
	require.NoError(t, err)
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"basket"}, []string{"n", "what"}, pgx.CopyFromSlice(20_000, func(i int) ([]any, error) {
		return []any{i, "a line that is long enough to fill a few buffers"}, nil
	}))
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(ctx, "SELECT sum(n)::bigint FROM basket").Scan(&sum))
	rows, err := conn.Query(ctx, "SELECT n FROM basket")
	require.NoError(t, err)
	read, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	for _, n := range read {
		sum -= n
	}
	_, err = conn.Exec(ctx, "DROP TABLE basket")
	require.NoError(t, err)
	return sum
}

// hear listens on one connection for what another says.
func hear(ctx context.Context, t *testing.T, pool *pgxpool.Pool) string {
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(ctx, "LISTEN pgx")
	require.NoError(t, err)
	_, err = pool.Exec(ctx, "SELECT pg_notify('pgx', 'heard')")
	require.NoError(t, err)
	n, err := conn.Conn().WaitForNotification(ctx)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "UNLISTEN *")
	require.NoError(t, err)
	return n.Payload
}

// cancelOne cancels one of two running queries; the other goes on.
func cancelOne(ctx context.Context, t *testing.T, pool *pgxpool.Pool, source string) []string {
	one, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer one.Release()
	ended := make(chan error, 1)
	asleep := "SELECT pg_sleep(60), '" + source + "'"
	go func() {
		_, err := one.Exec(ctx, asleep)
		ended <- err
	}()

	other, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer other.Release()
	for running := 0; running == 0; {
		require.NoError(t, other.QueryRow(ctx,
			"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1", asleep).Scan(&running))
	}
	require.NoError(t, one.Conn().PgConn().CancelRequest(ctx))
	states := []string{sqlState(<-ended)}
	for _, conn := range []*pgxpool.Conn{one, other} {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(0.01)")
		states = append(states, sqlState(err))
	}
	return states
}

// shareThePool lets a hundred goroutines share the pool's four connections.
func shareThePool(ctx context.Context, t *testing.T, pool *pgxpool.Pool) {
	var group errgroup.Group
	for i := range 100 {
		group.Go(func() error {
			var n int
			err := pool.QueryRow(ctx, "SELECT $1::int FROM pg_sleep(0.001)", i).Scan(&n)
			if err == nil && n != i {
				return errors.New("somebody else's answer")
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
}

// sqlState is the code of an error of PostgreSQL's.
func sqlState(err error) string {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &refused):
		return refused.Code
	default:
		return err.Error()
	}
}
