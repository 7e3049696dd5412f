package relay_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

func TestQueryThatTakesTooLongIsCancelledAndItsClientLives(t *testing.T) {
	r := newRig(t, 1)
	r.target.Times = relay.Times{Query: 200 * time.Millisecond}
	a := r.client()
	_, err := try(a, "select pg_sleep(60)")
	require.ErrorContains(t, err, refusal(relay.QueryTimeout))
	require.Equal(t, "1", one(t, a, "select 1"))
	one(t, a, "begin")
	_, err = try(a, "select pg_sleep(60)")
	require.ErrorContains(t, err, refusal(relay.QueryTimeout))
	_, err = try(a, "select 1")
	require.Equal(t, "25P02", code(err))
	one(t, a, "rollback")
	require.EqualValues(t, 1, r.stats().ServersOpened)
}

func TestTransactionsAndIdlenessAreBounded(t *testing.T) {
	short := 200 * time.Millisecond
	for _, c := range []struct {
		times   relay.Times
		first   string
		refusal string
	}{
		{relay.Times{IdleTransaction: short}, "begin", refusal(relay.IdleTransaction)},
		{relay.Times{Transaction: short}, "begin; select pg_sleep(60)", refusal(relay.TransactionTimeout)},
		{relay.Times{ClientIdle: short}, "select 1", refusal(relay.ClientIdle)},
	} {
		r := newRig(t, 1)
		r.target.Times = c.times
		a := r.seat()
		f := pgproto3.NewFrontend(a, a)
		f.Send(&pgproto3.Query{String: c.first})
		require.NoError(t, f.Flush())
		for {
			m, err := f.Receive()
			require.NoError(t, err, c.refusal)
			if e, ok := m.(*pgproto3.ErrorResponse); ok {
				require.Equal(t, "FATAL", e.Severity)
				require.Equal(t, c.refusal, e.Message)
				break
			}
		}
		require.Equal(t, "1", one(t, r.client(), "select 1"), "its server is free, or another is opened")
	}
}

func TestWaitingClientIsToldSo(t *testing.T) {
	r := newRig(t, 1)
	r.target.Times = relay.Times{WaitNotify: time.Millisecond}
	a, b := r.client(), r.seat()
	one(t, a, "begin")
	f := pgproto3.NewFrontend(b, b)
	f.Send(&pgproto3.Query{String: "select 1"})
	require.NoError(t, f.Flush())
	m, err := f.Receive()
	require.NoError(t, err)
	require.Equal(t, refusal(relay.Waiting), m.(*pgproto3.NoticeResponse).Message)
	one(t, a, "commit")
	receive(t, f, &pgproto3.RowDescription{}, &pgproto3.DataRow{}, &pgproto3.CommandComplete{}, &pgproto3.ReadyForQuery{})
}

func TestTenantMayWaitForLessLong(t *testing.T) {
	r := newRig(t, 1)
	r.target.Times = relay.Times{QueryWait: 100 * time.Millisecond}
	a, b := r.client(), r.client()
	one(t, a, "begin")
	_, err := try(b, "select 1")
	require.ErrorContains(t, err, refusal(relay.QueryWait))
}

func TestIdleServerThatNoLongerAnswersIsFoundOut(t *testing.T) {
	t.Parallel()
	var mute atomic.Bool
	r := newRig(t, 1, func(c *relay.Config) { c.ServerCheck = 50 * time.Millisecond })
	r.wrap = func(server net.Conn) net.Conn {
		if mute.Load() { // the one after it
			return server
		}
		relays, ours := relaytest.Pair(t)
		go func() { _, _ = io.Copy(server, ours) }()
		go func() {
			buf := make([]byte, 1<<16)
			for {
				n, err := server.Read(buf)
				if err != nil {
					_ = ours.Close()
					return
				}
				if !mute.Load() {
					_, _ = ours.Write(buf[:n])
				}
			}
		}()
		t.Cleanup(func() { _, _ = ours.Close(), server.Close() })
		return relays
	}
	a := r.client()
	require.Equal(t, "1", one(t, a, "select 1"))
	mute.Store(true)
	require.Eventually(t, func() bool { return r.stats().ServersClosed == 1 }, wait, tick, "nobody had to find out")
	require.Equal(t, "1", one(t, a, "select 1"))
}
