package relay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
)

var suspended = wire.Fields{Severity: "FATAL", Code: "57P01", Message: "suspended"}

func TestHoldLetsTransactionsFinishAndNewOnesWait(t *testing.T) {
	r := newRig(t, 3, func(c *relay.Config) { c.HoldWait = time.Minute })
	running, idle, pinned := r.client(), r.client(), r.client()
	one(t, pinned, "set role pg_monitor")
	one(t, running, "begin")
	quiet := make(chan struct{})
	r.relay.Hold("t", func() { close(quiet) })
	got := make(chan string, 2)
	go func() { v, _ := try(idle, "select 'idle'"); got <- v }()
	require.Eventually(t, func() bool { return r.stats().Waiting == 1 }, wait, tick)
	go func() { v, _ := try(pinned, "select 'pinned'"); got <- v }()
	require.Equal(t, "2", one(t, running, "select 2"))
	select {
	case <-quiet:
		t.Fatal("quiet while a transaction runs")
	case <-got:
		t.Fatal("a transaction began while held")
	default:
	}
	one(t, running, "commit")
	<-quiet
	require.Empty(t, got)
	r.relay.Resume("t")
	require.ElementsMatch(t, []string{"idle", "pinned"}, []string{<-got, <-got})
	require.Equal(t, "pg_monitor", one(t, pinned, "select current_user"))
}

func TestHoldIsBounded(t *testing.T) {
	r := newRig(t, 1, func(c *relay.Config) { c.HoldWait = 100 * time.Millisecond })
	a := r.client()
	quiet := make(chan struct{})
	r.relay.Hold("t", func() { close(quiet) })
	<-quiet
	_, err := try(a, "select 1")
	require.ErrorContains(t, err, "refusal 6")
	r.relay.Resume("t")
	require.Equal(t, "1", one(t, r.client(), "select 1"))
}

func TestEndLetsTransactionsFinishAndRefusesWhoComesLater(t *testing.T) {
	r := newRig(t, 3)
	running, idle := r.client(), r.client()
	one(t, idle, "select 1")
	one(t, running, "begin")
	gone := make(chan struct{})
	r.relay.End("t", suspended, time.Minute, false, func() { close(gone) })
	_, err := try(idle, "select 1")
	require.Equal(t, "57P01", code(err), "%v", err)
	require.Equal(t, "2", one(t, running, "select 2"))
	select {
	case <-gone:
		t.Fatal("gone while a transaction runs")
	default:
	}
	_, _ = try(running, "commit") // its answer and the end of the session arrive together
	<-gone
	_, err = try(running, "select 1")
	require.Error(t, err)
	_, err = try(r.client(), "select 1")
	require.Equal(t, "57P01", code(err), "%v", err)
	require.Eventually(t, func() bool { return r.backends() == 0 }, wait, tick)
	r.relay.Resume("t")
	require.Equal(t, "1", one(t, r.client(), "select 1"))
}

func TestEndCutsOffWhoStaysTooLong(t *testing.T) {
	r := newRig(t, 2)
	running := r.client()
	one(t, running, "begin")
	gone := make(chan struct{})
	r.relay.End("t", suspended, 100*time.Millisecond, true, func() { close(gone) })
	<-gone
	_, err := try(running, "select 1")
	require.Equal(t, "57P01", code(err), "%v", err)
	require.Equal(t, "1", one(t, r.client(), "select 1"), "once: who comes later is served")
}

func TestEndByPostgreSQLIsToldWithTheReason(t *testing.T) {
	r := newRig(t, 2)
	running, other := r.client(), r.client()
	one(t, running, "begin")
	pid := one(t, running, "select pg_backend_pid()")
	r.relay.End("t", suspended, time.Minute, true, func() {})
	require.Eventually(t, func() bool { return r.stats().Clients == 1 }, wait, tick, "the idle one has gone")
	_, err := try(other, "select 1")
	require.Error(t, err)
	one(t, r.client(), "select pg_terminate_backend("+pid+")")
	_, err = try(running, "select 1")
	require.Equal(t, "57P01", code(err), "%v", err)
	require.ErrorContains(t, err, suspended.Message)
}
