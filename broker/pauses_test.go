package broker_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
)

// begins starts a query that a pause keeps waiting; the channel has its outcome.
func begins(conn *pgx.Conn, query string) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), query)
		outcome <- err
	}()
	return outcome
}

// holds waits until the relay holds a paused tenant.
func holds(t testing.TB, b *broker.Broker) {
	t.Helper()
	eventually(t, func() bool {
		s, err := b.Stats(t.Context())
		return err == nil && len(s.Pools) > 0 && s.Pools[0].Paused
	}, "paused")
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
		holds(t, b)
		require.Equal(t, "1", table(t, other, "SHOW DATABASES")[0]["paused"])
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
	b, address := serveBroker(t, w)
	boss, other := connect(t, address, "pgbouncer", "admin", "right"), connect(t, address, "pgbouncer", "admin", "right")
	client, second := connect(t, address, "one", "one", "right"), connect(t, address, "one", "one", "right")
	do(t, client, "BEGIN")
	paused := begins(boss, "PAUSE one")
	holds(t, b)
	require.NoError(t, boss.PgConn().CancelRequest(t.Context()))
	require.Equal(t, "57014", sqlstate(<-paused))
	require.Equal(t, "0", table(t, other, "SHOW DATABASES")[0]["paused"])
	do(t, second, "SELECT 1")

	paused = begins(boss, "PAUSE one")
	holds(t, b)
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

func TestAPauseThatIsTakenBackLeavesOthersAlone(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	w.settle("two", realUpstream(t))
	staff(w)
	b, address := serveBroker(t, w)
	boss, other := connect(t, address, "pgbouncer", "admin", "right"), connect(t, address, "pgbouncer", "admin", "right")
	one, two := connect(t, address, "one", "one", "right"), connect(t, address, "two", "two", "right")
	do(t, boss, "PAUSE one")
	do(t, two, "BEGIN")
	paused := begins(boss, "PAUSE")
	eventually(t, func() bool { return table(t, other, "SHOW STATE")[1]["value"] == "yes" }, "paused")
	require.NoError(t, boss.PgConn().CancelRequest(t.Context()))
	require.Equal(t, "57014", sqlstate(<-paused))
	do(t, two, "COMMIT")
	do(t, two, "SELECT 1")
	held := begins(one, "SELECT 1")
	waits(t, b, 1)
	do(t, other, "RESUME") // without a name: every one
	require.NoError(t, <-held)
}

// However pauses and their ends cross, what the relay does is what was said last.
func TestOrdersThatCrossLeaveNothingPaused(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	staff(w)
	b, address := serveBroker(t, w)
	client := connect(t, address, "one", "one", "right")
	do(t, client, "SELECT 1")
	var crossing sync.WaitGroup
	for range 4 {
		boss := connect(t, address, "dermaga", "admin", "right")
		crossing.Go(func() {
			for _, command := range []string{"PAUSE one", "RESUME one", "PAUSE", "RESUME", "PAUSE one", "RESUME"} {
				_, _ = boss.Exec(context.Background(), command) // who comes second is told so
			}
		})
	}
	crossing.Wait()
	_, _ = connect(t, address, "dermaga", "admin", "right").Exec(t.Context(), "RESUME")
	s, err := b.Stats(t.Context())
	require.NoError(t, err)
	require.False(t, s.Pools[0].Paused)
	do(t, client, "SELECT 1")
}
