package broker_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
)

// asleep waits until n clients of role sleep at the server.
func asleep(t testing.TB, role string, n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	eventually(t, func() bool {
		var have int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event = 'PgSleep'`, role).Scan(&have)
		return err == nil && have == n
	}, "asleep")
}

func TestCancelHitsOnlyItsOwnQuery(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	address := serve(t, w, withTLS(t))
	for _, protocol := range []string{"3.0", "3.2"} {
		speaks := func(c *pgx.ConnConfig) { c.MaxProtocolVersion = protocol }
		mine, other := connect(t, address, "one", "one", "right", speaks), connect(t, address, "one", "one", "right", speaks)
		outcomes := [2]chan error{make(chan error, 1), make(chan error, 1)}
		for i, conn := range []*pgx.Conn{mine, other} {
			go func() {
				_, err := conn.Exec(context.Background(), "SELECT pg_sleep(1000)")
				outcomes[i] <- err
			}()
		}
		asleep(t, up.role, 2)
		require.NoError(t, mine.PgConn().CancelRequest(t.Context()))
		var failure *pgconn.PgError
		require.ErrorAs(t, <-outcomes[0], &failure)
		require.Equal(t, "57014", failure.Code)
		require.NoError(t, mine.Ping(t.Context()), "the connection lives on")

		asleep(t, up.role, 1)
		require.Empty(t, outcomes[1])
		require.NoError(t, other.PgConn().CancelRequest(t.Context()))
		require.ErrorAs(t, <-outcomes[1], &failure)
	}
}

func TestCancelWithAWrongKeyDoesNothing(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	address := serve(t, w)
	c := fakepg.Dial(t, address)
	require.Nil(t, c.Login(3<<16|2, "right", "user", "one"))
	c.Send(&pgproto3.Query{String: "SELECT pg_sleep(1000)"})
	asleep(t, up.role, 1)

	right := c.Key
	flipped := append([]byte(nil), right.SecretKey...)
	flipped[len(flipped)-1] ^= 1
	for _, key := range []pgproto3.CancelRequest{
		{ProcessID: right.ProcessID, SecretKey: flipped},
		{ProcessID: right.ProcessID, SecretKey: right.SecretKey[:4]},
		{ProcessID: right.ProcessID, SecretKey: append(flipped, 0)},
		{ProcessID: right.ProcessID + 1, SecretKey: right.SecretKey},
		{ProcessID: 0, SecretKey: right.SecretKey},
	} {
		other := fakepg.Dial(t, address)
		other.Send(&key)
		require.True(t, other.Ended())
	}
	asleep(t, up.role, 1)

	other := fakepg.Dial(t, address)
	other.Send(&pgproto3.CancelRequest{ProcessID: right.ProcessID, SecretKey: right.SecretKey})
	require.True(t, other.Ended())
	_, failure := c.Rows()
	require.NotNil(t, failure)
	require.Equal(t, "57014", failure.Code)
}

func TestCancelOfAnIdleClientTouchesNobody(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	address := serve(t, w)
	idle, busy := connect(t, address, "one", "one", "right"), connect(t, address, "one", "one", "right")
	require.NoError(t, idle.Ping(t.Context()), "it had a server a moment ago")
	outcome := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		_, err := busy.Exec(ctx, "SELECT pg_sleep(1000)")
		outcome <- err
	}()
	asleep(t, up.role, 1)
	require.NoError(t, idle.PgConn().CancelRequest(t.Context()))
	asleep(t, up.role, 1)
	require.Empty(t, outcome)
	stop()
	require.Error(t, <-outcome)
}

// A key dies with its client, also when another takes its server.
func TestKeyOfAClientThatHasGoneCancelsNothing(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	b, address := serveBroker(t, w)
	gone := fakepg.Dial(t, address)
	require.Nil(t, gone.Login(0, "right", "user", "one"))
	gone.Send(&pgproto3.Terminate{})
	eventually(t, func() bool { _, _, keys := b.Census(); return keys == 0 }, "the key is dropped")

	c := fakepg.Dial(t, address)
	require.Nil(t, c.Login(0, "right", "user", "one"))
	c.Send(&pgproto3.Query{String: "SELECT pg_sleep(0.2)"})
	cancel := fakepg.Dial(t, address)
	cancel.Send(&pgproto3.CancelRequest{ProcessID: gone.Key.ProcessID, SecretKey: gone.Key.SecretKey})
	require.True(t, cancel.Ended())
	_, failure := c.Rows()
	require.Nil(t, failure)
}
