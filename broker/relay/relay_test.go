package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

func TestClientsShareServersByTransaction(t *testing.T) {
	r := newRig(t, 2)
	var all sync.WaitGroup
	for range 20 {
		c := r.client()
		all.Go(func() {
			for range 50 {
				if v, err := try(c, "select 40 + 2"); err != nil || v != "42" {
					t.Errorf("got %q, %v", v, err)
					return
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, r.backends(), 2)
	require.EqualValues(t, 1000, r.stats().Transaction.Count())
}

func TestTransactionKeepsItsServer(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.client(), r.client()
	one(t, a, "create table t (x int)")
	one(t, a, "begin")
	pid := one(t, a, "insert into t values (1); select pg_backend_pid()")
	for range 5 {
		require.NotEqual(t, pid, one(t, b, "select pg_backend_pid()"))
		require.Equal(t, "0", one(t, b, "select count(*) from t"))
	}
	one(t, a, "commit")
	require.Equal(t, "1", one(t, b, "select count(*) from t"))
}

func TestWaitingClientIsServedWhenTheTransactionEnds(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.client(), r.client()
	one(t, a, "begin")
	got := make(chan string)
	go func() { v, _ := try(b, "select 'b'"); got <- v }()
	require.Eventually(t, func() bool { return r.stats().Waiting == 1 }, 10*time.Second, time.Millisecond)
	one(t, a, "commit")
	require.Equal(t, "b", <-got)
	require.EqualValues(t, 1, r.stats().Wait.Count())
}

func TestWaitIsBounded(t *testing.T) {
	r := newRig(t, 1, func(c *relay.Config) { c.QueryWait = 100 * time.Millisecond })
	a, b := r.client(), r.client()
	one(t, a, "begin")
	_, err := try(b, "select 1")
	require.ErrorContains(t, err, "refusal 0")
	require.Equal(t, "1", one(t, a, "select 1"), "who has a server keeps it")
}

func TestClientThatVanishesInATransactionIsRolledBack(t *testing.T) {
	r := newRig(t, 1)
	setup := r.client()
	one(t, setup, "create table t (x int)")
	gone := r.seat()
	a := gone.driver(t)
	one(t, a, "begin; insert into t values (1)")
	gone.Close()
	require.Equal(t, "0", one(t, setup, "select count(*) from t"))
	require.Eventually(t, func() bool { return r.backends() <= 1 }, 10*time.Second, 10*time.Millisecond)
}

func TestClientThatVanishesDuringAQueryHasItCancelled(t *testing.T) {
	r := newRig(t, 1)
	s := r.seat()
	f := pgproto3.NewFrontend(s, s)
	f.Send(&pgproto3.Query{String: "select generate_series(1, 1000000000), repeat('x', 1000)"})
	require.NoError(t, f.Flush())
	_, err := io.ReadFull(s, make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, s.Close()) // with answers unread: a reset
	require.Equal(t, "1", one(t, r.client(), "select 1"))
	require.Eventually(t, func() bool { return r.backends() == 1 }, 10*time.Second, 10*time.Millisecond)
}

func TestHalfClosedClientStillGetsItsAnswers(t *testing.T) {
	r := newRig(t, 1)
	s := r.seat()
	f := pgproto3.NewFrontend(s, s)
	f.Send(&pgproto3.Query{String: "select pg_sleep(0.1), 'late'"})
	require.NoError(t, f.Flush())
	require.NoError(t, s.Conn.(interface{ CloseWrite() error }).CloseWrite())
	all, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Contains(t, string(all), "late")
}

func TestCancelHitsOnlyItsOwnRunningQuery(t *testing.T) {
	r := newRig(t, 4)
	victim, idle := r.seat(), r.seat()
	bystander := r.client()
	v := victim.driver(t)
	stopped, spared := make(chan error, 1), make(chan error, 1)
	go func() { _, err := try(v, "select pg_sleep(60)"); stopped <- err }()
	go func() { _, err := try(bystander, "select pg_sleep(1)"); spared <- err }()
	require.Eventually(t, func() bool { return r.stats().Active == 2 }, 10*time.Second, time.Millisecond)
	idle.handle.Cancel(context.Background())
	victim.handle.Cancel(context.Background())
	require.Equal(t, "57014", code(<-stopped))
	require.NoError(t, <-spared)
	for range 20 { // a late cancel never hits what comes next
		victim.handle.Cancel(context.Background())
		require.Zero(t, r.stats().Active) // the loop has seen the cancel
		require.Equal(t, "1", one(t, v, "select 1"))
	}
}

// A cancel that is slow on its way upstream was meant for the query that ran
// then; the client's next one waits until the server has dealt with it.
func TestSlowCancelDoesNotHitTheNextQuery(t *testing.T) {
	r := newRig(t, 1)
	asked, arrive := make(chan struct{}, 2), make(chan struct{})
	r.target.Cancel = func(ctx context.Context, key relay.BackendKey) error {
		asked <- struct{}{}
		<-arrive
		return r.cancel(ctx, key)
	}
	s := r.seat()
	c := s.driver(t)
	first, next := make(chan error, 1), make(chan error, 1)
	go func() { _, err := try(c, "select pg_sleep(0.3)"); first <- err }()
	require.Eventually(t, func() bool { return r.stats().Active == 1 }, wait, tick)
	taken := make(chan struct{})
	go func() {
		s.handle.Cancel(context.Background())
		close(taken)
	}()
	<-asked
	require.NoError(t, <-first)

	go func() { _, err := try(c, "select pg_sleep(1)"); next <- err }()
	direct, err := pgconn.Connect(t.Context(), r.url)
	require.NoError(t, err)
	defer direct.Close(context.Background())
	running := func() bool {
		return one(t, direct, "select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(1)'") == "1"
	}
	require.Never(t, running, 200*time.Millisecond, tick)
	select {
	case <-taken:
		require.Fail(t, "who cancels is told before the server has taken it")
	default:
	}
	close(arrive)
	<-taken
	require.NoError(t, <-next)
}

func TestCancelTakesAWaitingClientOutOfTheQueue(t *testing.T) {
	r := newRig(t, 1)
	busy, a, b := r.client(), r.seat(), r.seat()
	one(t, busy, "begin")
	simple, extended := make(chan []string), make(chan []string)
	go func() { simple <- speak(t, a, 1, &pgproto3.Query{String: "select 1"}) }()
	go func() {
		extended <- speak(t, b, 1, append([]pgproto3.FrontendMessage{parse("s", "select 1")}, run("s")...)...)
	}()
	require.Eventually(t, func() bool { return r.stats().Waiting == 2 }, wait, tick)
	a.handle.Cancel(context.Background())
	b.handle.Cancel(context.Background())
	want := []string{"57014 canceling statement due to user request", "ready I"}
	require.Equal(t, want, <-simple)
	require.Equal(t, want, <-extended)
	require.Zero(t, r.stats().Waiting)
	one(t, busy, "commit")
	require.Equal(t, []string{"RowDescription", "row 1", "CommandComplete", "ready I"}, speak(t, a, 1, &pgproto3.Query{String: "select 1"}))
	require.Equal(t, []string{"ParseComplete", "BindComplete", "row 1", "CommandComplete", "ready I"}, speak(t, b, 1, append([]pgproto3.FrontendMessage{parse("s", "select 1")}, run("s")...)...))
}

func TestServerThatDiesTellsItsClient(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.client(), r.client()
	one(t, a, "begin")
	pid := one(t, a, "select pg_backend_pid()")
	one(t, b, "select pg_terminate_backend("+pid+")")
	_, err := try(a, "select 1")
	require.Equal(t, "57P01", code(err), "%v", err)
	require.Equal(t, "1", one(t, b, "select 1"))
}

func TestIdleServerThatDiesIsReplaced(t *testing.T) {
	r := newRig(t, 1)
	a := r.client()
	killer := r.client()
	pid := one(t, a, "select pg_backend_pid()")
	_, err := try(killer, "select pg_terminate_backend("+pid+")")
	require.Equal(t, "57P01", code(err))
	require.NotEqual(t, pid, one(t, a, "select pg_backend_pid()"))
}

// Its last word may come with the answer to a client's last statement. The client
// has what it asked for, and those who wait must not get that server.
func TestServerThatDiesBetweenTransactionsIsNobodysConcern(t *testing.T) {
	r := newRig(t, 1)
	lastWords := make(chan bool)
	armed := &atomic.Bool{}
	real := r.target.Dial
	var dials atomic.Int32
	r.target.Dial = func(ctx context.Context) (*relay.Server, error) {
		s, err := real(ctx)
		if err == nil && dials.Add(1) == 1 {
			s.Conn = dying(t, s.Conn, armed, lastWords)
		}
		return s, err
	}
	a, b := r.client(), r.client()
	one(t, a, "select 1")
	armed.Store(true)
	answers := make(chan error, 2)
	go func() { _, err := try(a, "select 1"); answers <- err }()
	require.Eventually(t, func() bool { return r.stats().Active == 1 }, wait, tick)
	go func() { _, err := try(b, "select 1"); answers <- err }()
	require.Eventually(t, func() bool { return r.stats().Waiting == 1 }, wait, tick)
	lastWords <- true
	require.NoError(t, <-answers)
	require.NoError(t, <-answers)
	require.Equal(t, "1", one(t, a, "select 1"))
	require.EqualValues(t, 2, dials.Load())
}

// dying stands before a server. Once it is armed, the server's next answer comes
// when there is something in said, and together with a FATAL; then nothing does.
func dying(t *testing.T, server net.Conn, armed *atomic.Bool, said <-chan bool) net.Conn {
	relays, ours := relaytest.Pair(t)
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(server, ours) })
	both.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			answer, last := buf[:n], armed.Load()
			if last {
				<-said
				answer, _ = (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01"}).Encode(answer)
			}
			if _, err := ours.Write(answer); err != nil || last {
				return
			}
		}
	})
	t.Cleanup(func() {
		_, _ = ours.Close(), server.Close()
		both.Wait()
	})
	return relays
}

func TestErrorsAreCountedBySQLSTATE(t *testing.T) {
	r := newRig(t, 1)
	c := r.client()
	for range 3 {
		_, err := try(c, "select 1/0")
		require.Equal(t, "22012", code(err))
	}
	for n := range 200 {
		_, err := try(c, fmt.Sprintf("do $$ begin raise 'x' using errcode = 'X%04d'; end $$", n))
		require.Error(t, err)
	}
	counted := r.stats().Errors
	require.EqualValues(t, 3, counted["22012"])
	require.EqualValues(t, 101, counted[relay.OtherCodes])
	require.Len(t, counted, 101)
}

func TestSlowReaderLeavesMemoryFlatAndOthersServed(t *testing.T) {
	r := newRig(t, 2)
	slow := r.seat()
	f := pgproto3.NewFrontend(slow, slow)
	f.Send(&pgproto3.Query{String: "select repeat('x', 100000) from generate_series(1, 10000)"}) // 1 GB
	require.NoError(t, f.Flush())
	other := r.client()
	require.Equal(t, "1", one(t, other, "select 1"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 200 {
		require.Equal(t, "1", one(t, other, "select 1"))
	}
	got, err := io.CopyN(io.Discard, slow, 300<<20)
	require.NoError(t, err)
	require.EqualValues(t, 300<<20, got)
	for range 200 {
		require.Equal(t, "1", one(t, other, "select 1"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, after.HeapAlloc, before.HeapAlloc+2<<20)
	rest, err := io.CopyN(io.Discard, slow, 1e9-300<<20)
	require.NoError(t, err)
	require.EqualValues(t, 1e9, rest+got)
}

func TestIdleClientsNeedNoGoroutines(t *testing.T) {
	r := newRig(t, 1)
	first := r.client()
	require.Equal(t, "1", one(t, first, "select 1"))
	before := runtime.NumGoroutine()
	for range 1000 {
		r.seat()
	}
	require.Equal(t, "1", one(t, first, "select 1"))
	require.Less(t, runtime.NumGoroutine(), before+50)
}

func TestIdleLoopLetsTheGarbageCollectorFinish(t *testing.T) {
	r := newRig(t, 1)
	require.Equal(t, "1", one(t, r.client(), "select 1"))
	done := make(chan struct{})
	go func() {
		for range 20 {
			runtime.GC()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("runtime.GC does not finish beside an idle loop")
	}
}

func TestMalformedMessageEndsOnlyItsClient(t *testing.T) {
	for name, b := range map[string][]byte{
		"length 3":        {'Q', 0, 0, 0, 3},
		"length 0":        {'Q', 0, 0, 0, 0},
		"length 2^32-1":   {'Q', 0xff, 0xff, 0xff, 0xff},
		"2 GB announced":  append([]byte{'Q', 0x7f, 0xff, 0xff, 0xff}, 'x'),
		"behind a query":  append([]byte("Q\x00\x00\x00\x0dselect 1\x00"), 'P', 0, 0, 0, 1),
		"length 3, later": {'S', 0, 0, 0, 4, 'H', 0, 0, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			s := r.seat()
			_, err := s.Write(b)
			require.NoError(t, err)
			all, err := io.ReadAll(s)
			require.NoError(t, err)
			require.Contains(t, string(all), "refusal 5")
			require.Equal(t, "1", one(t, r.client(), "select 1"))
		})
	}
}

func TestMessagesArriveByteByByte(t *testing.T) {
	r := newRig(t, 1)
	s := r.seat()
	var b []byte
	b, _ = (&pgproto3.Parse{Query: "select $1::text"}).Encode(b)
	b, _ = (&pgproto3.Bind{Parameters: [][]byte{[]byte("hello")}}).Encode(b)
	b, _ = (&pgproto3.Execute{}).Encode(b)
	b, _ = (&pgproto3.Sync{}).Encode(b)
	for i := range b {
		_, err := s.Write(b[i : i+1])
		require.NoError(t, err)
	}
	f := pgproto3.NewFrontend(s, s)
	for {
		m, err := f.Receive()
		require.NoError(t, err)
		if row, ok := m.(*pgproto3.DataRow); ok {
			require.Equal(t, "hello", string(row.Values[0]))
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
}

func TestLargeValuesPassThrough(t *testing.T) {
	r := newRig(t, 1)
	c := r.client()
	big := strings.Repeat("0123456789abcdef", 4<<20>>4)
	res := c.ExecParams(context.Background(), "select $1::text || 'end'", [][]byte{[]byte(big)}, nil, nil, nil).Read()
	require.NoError(t, res.Err)
	require.True(t, bytes.Equal(append([]byte(big), "end"...), res.Rows[0][0]))
	require.Equal(t, "4194304", one(t, c, "select length('"+big+"')"))
}

func TestDrainLetsTransactionsEnd(t *testing.T) {
	r := newRig(t, 2)
	busy, idle := r.client(), r.client()
	one(t, busy, "begin")
	require.Equal(t, "1", one(t, idle, "select 1"))
	stopped := make(chan error)
	go func() { stopped <- r.relay.Stop(context.Background()) }()
	require.Equal(t, "2", one(t, busy, "select 2"))
	_, _ = try(busy, "commit")
	_, err := idle.ReceiveMessage(context.Background())
	require.ErrorContains(t, err, "refusal 4")
	require.NoError(t, <-stopped)
}

func TestPanicEndsOnlyItsPair(t *testing.T) {
	log := &dermagatest.Log{}
	var once sync.Once
	r := newRig(t, 2, func(c *relay.Config) {
		c.Log = slog.New(slog.NewTextHandler(log, nil))
		explain := c.Explain
		c.Explain = func(r relay.Refusal, t *relay.Target, about string) wire.Fields {
			if r == relay.BlockRefused {
				once.Do(func() { panic("on purpose") })
			}
			return explain(r, t, about)
		}
	})
	a, b := r.seat(func(c *relay.Client) { c.Mode = relay.Statement }), r.client()
	_, err := b.Exec(context.Background(), "begin").ReadAll()
	require.NoError(t, err)
	f := pgproto3.NewFrontend(a, a)
	f.Send(&pgproto3.Query{String: "begin"})
	require.NoError(t, f.Flush())
	m, err := f.Receive()
	require.NoError(t, err)
	require.Equal(t, refusal(relay.ServerLost), m.(*pgproto3.ErrorResponse).Message)
	_, err = f.Receive()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Contains(t, log.String(), "on purpose")
	require.Equal(t, "1", one(t, b, "select 1"), "another's transaction goes on")
	require.Equal(t, "1", one(t, r.client(), "select 1"))
	require.Equal(t, 2, r.stats().Servers)
}
