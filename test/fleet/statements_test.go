package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/admin/client"
)

// Clients prepare ten thousand statements, fifty times what a server may keep, while
// the tables under some of them change. All are answered rightly, no server has more
// than it may, and when the clients go, so does what the replica knew of them.
func TestTenThousandPreparedStatementsOnTwoServers(t *testing.T) {
	const limit, servers, writers = 200, 2, 4
	ctx := bounded(t)
	statements, rounds := size(1000, 10_000), size(3, 6)
	r := serve(t, "--max-prepared-statements", strconv.Itoa(limit))
	look := r.console(ctx, t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-siap", Plan: "BUSINESS", PoolSize: servers})
	db := fleet.databases.connectTo(t, tn.Database)
	_, err := db.Exec(ctx, `CREATE TABLE public.changing (n int); INSERT INTO public.changing SELECT pg_catalog.generate_series(0, 99);
		GRANT ALL ON TABLE public.changing TO PUBLIC`)
	require.NoError(t, err)

	var after []int64
	for round := range rounds {
		var clients errgroup.Group
		for w := range writers {
			l := &library{seed: round*writers + w, count: statements / writers}
			clients.Go(func() error { return l.readAll(ctx, tn.at(r)) })
		}
		clients.Go(func() error { // columns come and go
			for i := range 20 {
				for _, sql := range []string{"ALTER TABLE public.changing ADD COLUMN extra%d int", "ALTER TABLE public.changing DROP COLUMN extra%d"} {
					if _, err := db.Exec(ctx, fmt.Sprintf(sql, i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		during := r.watchMemory(t)
		require.NoError(t, clients.Wait())
		grown := during.end()
		told, err := look.show(ctx, "SERVERS")
		require.NoError(t, err)
		require.Len(t, told, servers)
		for _, s := range told {
			n, err := strconv.Atoi(s["prepared_statements"])
			require.NoError(t, err)
			require.LessOrEqual(t, n, limit)
		}
		counted := statementsOn(ctx, t, servers, tn.at(r))
		for _, n := range counted {
			require.LessOrEqual(t, n, limit+1, "the one that counts included")
		}
		resident, err := r.resident()
		require.NoError(t, err)
		after = append(after, resident)
		t.Logf("round %d: %d statements; PostgreSQL counts %v on its servers; memory grew by %.1f MiB, to %.1f MiB",
			round, statements, counted, mebibytes(grown), mebibytes(resident))
	}
	require.Less(t, after[rounds-1], after[1]*11/10, "memory after each round: %v", after)
}

// statementsOn counts the prepared statements on each of n servers, all at once.
func statementsOn(ctx context.Context, t *testing.T, n int, url string) (counted []int) {
	t.Helper()
	for range n {
		conn, err := dial(ctx, url)
		require.NoError(t, err)
		defer hangUp(conn)
		require.NoError(t, run(conn, "BEGIN"))
		rows, err := conn.Exec(ctx, "SELECT count(*) FROM pg_catalog.pg_prepared_statements").ReadAll()
		require.NoError(t, err)
		has, err := strconv.Atoi(cell(rows[0]))
		require.NoError(t, err)
		counted = append(counted, has)
	}
	return counted
}

// A library is a client with many prepared statements.
type library struct {
	conn        *pgconn.PgConn
	seed, count int
}

// changes reports whether the i-th statement is about the table that changes.
func (l *library) changes(i int) bool { return i%20 == 0 }

// readAll prepares all, runs some of them meanwhile, then all in any order.
func (l *library) readAll(ctx context.Context, url string) (err error) {
	if l.conn, err = dial(ctx, url); err != nil {
		return err
	}
	defer hangUp(l.conn)
	order := rand.New(rand.NewPCG(uint64(l.seed), 14))
	for i := range l.count {
		if err := l.prepare(ctx, i); err != nil {
			return err
		}
		if i%3 == 0 {
			if err := l.read(ctx, order.IntN(i+1), order.IntN(100)); err != nil {
				return err
			}
		}
	}
	for _, i := range order.Perm(l.count) {
		if err := l.read(ctx, i, order.IntN(100)); err != nil {
			return err
		}
	}
	return nil
}

// prepare prepares the i-th statement.
func (l *library) prepare(ctx context.Context, i int) error {
	sql := fmt.Sprintf("SELECT $1::int + %d /* %d */", i, l.seed)
	if l.changes(i) {
		sql = fmt.Sprintf("SELECT * FROM public.changing WHERE n = $1::int /* %d, %d */", i, l.seed)
	}
	if _, err := l.conn.Prepare(ctx, fmt.Sprint("s", i), sql, nil); err != nil {
		return fmt.Errorf("prepare statement %d: %w", i, err)
	}
	return nil
}

// read runs the i-th statement. Where its table has changed PostgreSQL says so, and it
// is prepared anew, as drivers do.
func (l *library) read(ctx context.Context, i, n int) error {
	want := fmt.Sprint(n + i)
	if l.changes(i) {
		want = fmt.Sprint(n)
	}
	const tries = 10
	var err error
	for range tries {
		name := fmt.Sprint("s", i)
		result := l.conn.ExecPrepared(ctx, name, [][]byte{fmt.Append(nil, n)}, nil, nil).Read()
		var told *pgconn.PgError
		if err = is("statement "+name, want, cell(result), result.Err); err == nil ||
			!errors.As(err, &told) || told.Code != pgerrcode.FeatureNotSupported || !l.changes(i) {
			return err
		}
		if err := l.conn.Deallocate(ctx, name); err != nil {
			return err
		}
		if err := l.prepare(ctx, i); err != nil {
			return err
		}
	}
	return fmt.Errorf("prepared anew %d times: %w", tries, err)
}
