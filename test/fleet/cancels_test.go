package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// A hundred clients share ten servers, so most of their queries wait for one; all are
// cancelled at once, and those of bystanders who run and wait among them are not.
func TestAHundredCancelsAtOnceHitOnlyTheirOwnQueries(t *testing.T) {
	const servers, victims, lock = 10, 100, 14
	ctx := bounded(t)
	r := serve(t)
	look := r.console(ctx, t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-batal", Plan: "BUSINESS", PoolSize: servers})
	w := fleet.databases.watch(t)
	held := fleet.databases.connectTo(t, tn.Database)
	var all, bystanders []*pgconn.PgConn
	for range victims {
		all = append(all, guest(ctx, t, tn.at(r)))
	}
	for range 2 * servers {
		bystanders = append(bystanders, guest(ctx, t, tn.at(r)))
	}
	bystand := fmt.Sprintf("SELECT pg_advisory_xact_lock_shared(%d)", lock)

	for round := range size(2, 30) {
		_, err := held.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_lock(%d)", lock))
		require.NoError(t, err)
		var spared, hit []<-chan error
		for _, b := range bystanders[:servers/2] {
			spared = append(spared, begin(b, bystand))
		}
		w.running(ctx, t, servers/2, bystand)
		for i, v := range all {
			hit = append(hit, sleepLong(v, i%2 == 0))
		}
		for _, b := range bystanders[servers/2:] {
			spared = append(spared, begin(b, bystand))
		}
		await(ctx, t, "all to run or wait", func() bool {
			pools, err := look.show(ctx, "POOLS")
			require.NoError(t, err)
			ours := of(pools, "database", tn.Slug)
			return len(ours) == 1 && ours[0]["cl_waiting"] == fmt.Sprint(victims+servers)
		})

		began := time.Now()
		var cancels sync.WaitGroup
		for _, v := range all {
			cancels.Go(func() { cancelAt(ctx, t, r, v) })
		}
		cancels.Wait()
		for i, query := range hit {
			err := outcome(ctx, t, query)
			require.Error(t, err, "round %d, client %d: its cancel was lost", round, i)
			require.Equal(t, pgerrcode.QueryCanceled, reason(err), "round %d, client %d", round, i)
		}
		took := time.Since(began)
		_, err = held.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_unlock(%d)", lock))
		require.NoError(t, err)
		for _, query := range spared {
			require.NoError(t, outcome(ctx, t, query), "a bystander")
		}
		for _, v := range all {
			require.NoError(t, run(v, "SELECT 1"), "the connection lives on")
		}
		t.Logf("round %d: %d queries on %d servers cancelled in %s", round, victims, servers, took)
	}
}

// sleepLong runs a query that ends by being cancelled.
func sleepLong(conn *pgconn.PgConn, simple bool) <-chan error {
	const sql = "SELECT pg_sleep(50)"
	if simple {
		return begin(conn, sql)
	}
	came := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		came <- conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err
	}()
	return came
}

// Requests to cancel that come when the query has just ended hit nobody: not the
// client that has the server next, and not the next query of the same client.
func TestLateCancelsHitNobody(t *testing.T) {
	ctx := bounded(t)
	length := size(5*time.Second, time.Minute)
	r := serve(t)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-batal", Plan: "BUSINESS", PoolSize: 3})
	working, stop := context.WithTimeout(ctx, length)
	defer stop()
	var storm sync.WaitGroup
	var queries, cancels, hits atomic.Int64
	ask := func(conn *pgconn.PgConn, n int64) error {
		result := conn.ExecParams(context.Background(), "SELECT $1::text", [][]byte{fmt.Append(nil, n)}, nil, nil, nil).Read()
		if result.Err == nil && cell(result) != fmt.Sprint(n) {
			return fmt.Errorf("%s, and not %d", cell(result), n)
		}
		return result.Err
	}
	for range 8 {
		calm, hasty, careful := guest(ctx, t, tn.at(r)), guest(ctx, t, tn.at(r)), guest(ctx, t, tn.at(r))
		storm.Go(func() { // nobody ever cancels its queries
			for working.Err() == nil {
				if err := ask(calm, queries.Add(1)); err != nil {
					t.Errorf("a client whose queries are never cancelled: %v", err)
					return
				}
			}
		})
		storm.Go(func() { // its queries are cancelled while they run, or a little later
			for working.Err() == nil {
				sent := make(chan error, 1)
				go func() { sent <- hasty.CancelRequest(ctx) }()
				err := ask(hasty, queries.Add(1))
				var told *pgconn.PgError
				switch {
				case errors.As(err, &told) && told.Code == pgerrcode.QueryCanceled:
					hits.Add(1)
				case err != nil:
					t.Errorf("a client whose queries are cancelled at any time: %v", err)
				}
				if err := <-sent; err != nil {
					t.Errorf("cancel: %v", err)
				}
				cancels.Add(1)
			}
		})
		storm.Go(func() { // they are cancelled when they have ended
			for working.Err() == nil {
				if err := ask(careful, queries.Add(1)); err != nil {
					t.Errorf("a client whose queries are cancelled too late: %v", err)
					return
				}
				if err := careful.CancelRequest(ctx); err != nil {
					t.Errorf("cancel: %v", err)
				}
				cancels.Add(1)
			}
		})
	}
	storm.Wait()
	t.Logf("%d queries, %d cancels, of which %d hit theirs", queries.Load(), cancels.Load(), hits.Load())
	require.Positive(t, cancels.Load())
}
