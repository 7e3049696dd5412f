package relay_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
)

// pinned are the reasons for which the rig's clients keep servers.
func (r *rig) pinned() (all []string) {
	clients, err := r.relay.Clients(context.Background())
	require.NoError(r.t, err)
	for _, c := range clients {
		all = append(all, c.Pins...)
	}
	return all
}

// direct is a connection around the relay.
func (r *rig) direct() *pgconn.PgConn {
	c, err := pgconn.Connect(context.Background(), r.url)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// audits is how often a server was asked what is left in it.
func (r *rig) audits() uint64 { return r.stats().Audit.Count() }

func TestSuspectServerStaysWithItsClientUntilSomebodyNeedsIt(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.client(), r.client()
	one(t, b, "begin") // one server is in use
	one(t, a, "create function quiet() returns int language plpgsql as 'begin execute ''select 1''; return 7; end'")
	before := r.audits()
	for range 5 {
		require.Equal(t, "7", one(t, a, "select quiet()"))
	}
	require.Equal(t, before, r.audits(), "nobody else needed it")
	one(t, b, "commit")
}

func TestWhatAnAuditFindsPinsAndIsFreedAgain(t *testing.T) {
	for _, c := range []struct{ make, end, pin string }{
		{"prepare p as select 1", "deallocate p", "prepared statement"},
		{"prepare p as select 1", "deallocate all", "prepared statement"},
		{"listen c", "unlisten *", "listen"},
		{"declare c cursor with hold for select 1", "close c", "cursor with hold"},
		{"create temp table x (a int)", "drop table x", "temporary object"},
		{"create function pg_temp.f() returns int language sql as 'select 1'", "drop function pg_temp.f()", "temporary object"},
		{"set role pg_monitor", "reset role", "role"},
		{"set role pg_monitor", "set role none", "role"},
		{"select pg_advisory_lock(7)", "select pg_advisory_unlock(7)", "advisory lock"},
		{"select set_config('a' || '.b', 'x', false)", "reset all", "custom setting"},
		{"set search_path = pg_temp", "set search_path = public", "temporary object"},
	} {
		t.Run(c.make, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 2)
			a, b, other := r.client(), r.client(), r.client()
			one(t, other, "begin") // there is one server left
			one(t, a, c.make)
			waits := make(chan error, 1)
			go func() {
				_, err := try(b, "select 1")
				waits <- err
			}()
			require.Eventually(t, func() bool { return len(r.pinned()) > 0 }, wait, tick)
			require.Equal(t, []string{c.pin}, r.pinned())
			require.Equal(t, 1, r.stats().Waiting)
			one(t, a, c.end)
			require.NoError(t, <-waits, "the server is free again")
			require.Empty(t, r.pinned())
			require.EqualValues(t, 1, r.stats().Pins)
		})
	}
}

func TestWhatPostgreSQLDoesNotShowPinsUntilTheClientGoes(t *testing.T) {
	for what, c := range map[string]struct {
		pin   string
		again bool // the server can be wiped
	}{"select setseed(0.5)": {"setseed", true}, "load 'plpgsql'": {"load", false}} {
		r := newRig(t, 1)
		a, b := r.client(), r.client()
		pid := one(t, a, "select pg_backend_pid()")
		one(t, a, what)
		first := one(t, a, "select random()")
		one(t, a, what)
		waits := beside(func() string { return one(t, b, "select pg_backend_pid()") })
		require.Eventually(t, func() bool { return len(r.pinned()) > 0 }, wait, tick)
		require.Equal(t, []string{c.pin}, r.pinned())
		one(t, a, "discard all")
		require.Equal(t, pid, one(t, a, "select pg_backend_pid()"))
		require.NoError(t, a.Close(context.Background()))
		require.Equal(t, c.again, pid == <-waits, what)
		require.NotEqual(t, first, one(t, b, "select random()"), "nobody else gets the numbers of that seed")
	}
}

// beside runs f while the test goes on.
func beside(f func() string) <-chan string {
	got := make(chan string, 1)
	go func() { got <- f() }()
	return got
}

func TestLocksAreGoneWithTheirClientAtOnce(t *testing.T) {
	r := newRig(t, 1)
	a, direct := r.client(), r.direct()
	one(t, a, "select pg_advisory_lock(9); listen x; create temp table y ()")
	require.Equal(t, "f", one(t, direct, "select pg_try_advisory_lock(9)"))
	require.NoError(t, a.Close(context.Background()))
	require.Eventually(t, func() bool { return one(t, direct, "select pg_try_advisory_lock(9)") == "t" }, wait, tick,
		"an idle server holds nobody's lock")
	require.Equal(t, 1, r.stats().Servers, "it was wiped, not closed")
}

func TestPinsAreBounded(t *testing.T) {
	r := newRig(t, 3) // two may be kept
	keep := func() (string, error) {
		c := r.client()
		if _, err := try(c, "listen x"); err != nil {
			return "", err
		}
		return try(c, "select 1")
	}
	for range 2 {
		_, err := keep()
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(r.pinned()) == 2 }, wait, tick)
	c := r.client()
	one(t, c, "listen x")
	require.Eventually(t, func() bool { return r.stats().Clients == 2 }, wait, tick, "the third is ended")
	_, err := try(c, "select 1")
	require.Equal(t, "XX000", code(err))
	require.Equal(t, "1", one(t, r.client(), "select 1"))
	require.Equal(t, 3, r.stats().Servers)
}

func TestPinnedClientThatIsIdleGivesWayToThoseWhoWait(t *testing.T) {
	r := newRig(t, 1)
	r.target.Times = relay.Times{PinIdle: 300 * time.Millisecond}
	a := r.client()
	one(t, a, "listen x")
	require.Equal(t, "1", one(t, r.client(), "select 1"))
	require.Equal(t, 1, r.stats().Clients)
}

func TestTransactionModeWipesWhatCannotBeCarried(t *testing.T) {
	r := newRig(t, 1)
	a := r.client(func(c *relay.Client) { c.Mode = relay.Transaction })
	one(t, a, "set work_mem = '77MB'; set timezone = 'Asia/Jakarta'")
	one(t, a, "prepare p as select 1")
	require.Equal(t, "0", one(t, a, "select count(*) from pg_prepared_statements"))
	one(t, a, "create temp table x (); select pg_advisory_lock(9)")
	require.Equal(t, "0", one(t, a, "select count(*) from pg_locks where locktype = 'advisory'"))
	require.Equal(t, "77MB", one(t, a, "show work_mem"))
	require.Equal(t, "Asia/Jakarta", one(t, a, "show timezone"))
	one(t, a, "begin; create temp table x ()")
	require.Equal(t, "0", one(t, a, "select count(*) from x"), "within the transaction")
	one(t, a, "commit")
	require.Empty(t, r.pinned())
	require.Equal(t, 1, r.backends())
}

func TestTransactionModeKeepsNoStateWhileTheBrokerAsks(t *testing.T) {
	r := newRig(t, 1)
	a := r.client(func(c *relay.Client) { c.Mode = relay.Transaction })
	for range 20 {
		for _, sql := range []string{
			"create or replace function public.f() returns int language sql as 'select 1'; create temp table mine (x int)",
			"set lock_timeout = '7s'; create temp table mine (x int)",
		} { // the broker looks at the routines behind the first, and asks for the setting behind the second
			_, err := a.Exec(t.Context(), sql).ReadAll()
			require.NoError(t, err, "what the one before has made is gone")
		}
	}
}

func TestTransactionModeMayRefuseState(t *testing.T) {
	r := newRig(t, 1)
	r.target.Refuse = true
	a := r.seat(func(c *relay.Client) { c.Mode = relay.Transaction })
	refused := "XX000 " + refusal(relay.StateRefused)
	query := func(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }
	require.Equal(t, []string{refused, "ready I"}, speak(t, a, 1, query("listen x")))
	require.Equal(t, []string{"CommandComplete", "ready T", refused, "ready E"}, speak(t, a, 2, query("begin"), query("create temp table x ()")))
	require.Equal(t, []string{"CommandComplete", "ready I"}, speak(t, a, 1, query("rollback")))
	require.Equal(t, []string{"ParseComplete", refused, "ready I", "BindComplete", "row 1", "CommandComplete", "ready I"},
		speak(t, a, 2, append([]pgproto3.FrontendMessage{
			parse("s", "select 1"), parse("t", "select pg_advisory_lock(1)"), parse("u", "select 2"), sync_,
		}, run("s")...)...))
	require.Equal(t, []string{"ParseComplete", "22012 division by zero", "ready I"},
		speak(t, a, 1, append([]pgproto3.FrontendMessage{parse("", "select 1/0")}, append(run("")[:2:2], parse("t", "prepare p as select 1"), sync_)...)...),
		"an error before it keeps its words")
}

func TestStatementModeRefusesBlocksAndServesTheRest(t *testing.T) {
	r := newRig(t, 1)
	a := r.seat(func(c *relay.Client) { c.Mode = relay.Statement })
	b := r.client()
	query := func(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }
	refused := "XX000 " + refusal(relay.BlockRefused)
	require.Equal(t, []string{refused, "ready I"}, speak(t, a, 1, query("begin")))
	require.Equal(t, []string{refused, "ready I"}, speak(t, a, 1, query("/* x */ start transaction; select 1")))
	require.Equal(t, []string{refused, "ready I"}, speak(t, a, 1, parse("", "begin"), sync_))
	require.Equal(t, []string{"CommandComplete", "RowDescription", "row 1", "CommandComplete", "CommandComplete", "ready I"},
		speak(t, a, 1, query("begin; select 1; commit")), "a block that ends with its query")
	require.Equal(t, "1", one(t, b, "select 1"))
}

func TestRoutineMadeOnTheWireIsKnownAtOnce(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.client(), r.client()
	one(t, a, "create function f() returns text language sql as $$ select set_config('app.x', 'a', false) $$; select f()")
	require.Empty(t, one(t, b, "select coalesce(current_setting('app.x', true), '')"))
	require.Equal(t, "a", one(t, a, "select current_setting('app.x', true)"), "it is carried")
	one(t, b, "select f(), set_config('app.x', 'b', true)")
	require.Equal(t, "a", one(t, a, "select current_setting('app.x', true)"))
	require.Empty(t, r.pinned())
	require.Equal(t, 1, r.backends())
}

func TestSequenceValuesOfOthersAreNeverTold(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.client(), r.client()
	one(t, a, "create sequence s")
	require.Equal(t, "1", one(t, a, "select nextval('s')"))
	one(t, b, "begin")
	_, err := try(b, "select lastval()")
	require.ErrorContains(t, err, refusal(relay.ForeignSequence), "not fresh, and not known before to be read here")
	one(t, b, "rollback")
	require.Equal(t, "2", one(t, a, "select nextval('s')"))
	_, err = try(b, "select currval('s')")
	require.Equal(t, "55000", code(err))
	one(t, b, "begin; select nextval('s')")
	require.Equal(t, "3", one(t, b, "select lastval()"))
	one(t, b, "commit")
	require.Equal(t, "3", one(t, b, "select lastval()"), "nobody needed the server meanwhile")
}

func TestLongStatementsWithANameAreRefusedWhereTheyCannotStay(t *testing.T) {
	r := newRig(t, 1)
	a := r.seat(func(c *relay.Client) { c.Mode = relay.Transaction })
	long := "select 1 -- " + strings.Repeat("x", 300_000)
	require.Equal(t, []string{"XX000 " + refusal(relay.LongStatement), "ready I"}, speak(t, a, 1, parse("s", long), sync_))
	require.Equal(t, append([]string{"ParseComplete"}, oneResult...), speak(t, a, 1, append([]pgproto3.FrontendMessage{parse("", long)}, run("")...)...))
	require.Equal(t, "1", one(t, r.client(), "select 1"), "the server is free")
}
