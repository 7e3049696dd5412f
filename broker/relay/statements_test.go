package relay_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
)

// speak sends messages and returns the answers up to the n-th ReadyForQuery, each
// as its type and what matters of it.
func speak(t *testing.T, s *seat, n int, messages ...pgproto3.FrontendMessage) []string {
	t.Helper()
	f := pgproto3.NewFrontend(s, s)
	for _, m := range messages {
		f.Send(m)
	}
	require.NoError(t, f.Flush())
	var got []string
	for n > 0 {
		m, err := f.Receive()
		require.NoError(t, err)
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			got = append(got, m.Code+" "+m.Message)
		case *pgproto3.DataRow:
			got = append(got, "row "+string(m.Values[0]))
		case *pgproto3.ReadyForQuery:
			got = append(got, "ready "+string(m.TxStatus))
			n--
		case *pgproto3.ParameterStatus:
		default:
			got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
		}
	}
	return got
}

func parse(name, sql string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: sql} }

func run(name string) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: name}, &pgproto3.Execute{}, &pgproto3.Sync{}}
}

var (
	sync_     = &pgproto3.Sync{}
	oneResult = []string{"BindComplete", "row 1", "CommandComplete", "ready I"}
)

func TestNamedStatementsFollowTheirClientFromServerToServer(t *testing.T) {
	r := newRig(t, 2)
	a, blocker := r.seat(), r.seat()
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("s", "select 1"), sync_))
	require.Zero(t, r.stats().Active, "a prepared statement needs no server of its own")
	speak(t, blocker, 1, &pgproto3.Query{String: "begin"}) // takes the server that has it
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
	require.EqualValues(t, 1, r.stats().Reparses)
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
	require.EqualValues(t, 1, r.stats().Reparses)
	require.Equal(t, []string{"ParameterDescription", "RowDescription", "ready I"}, speak(t, a, 1, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync_))
}

func TestClientsShareAStatementUnderNamesOfTheirOwn(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.seat(), r.seat()
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("s", "select 1"), sync_))
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, b, 1, parse("other", "select 1"), sync_), "its Parse was not sent")
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, b, 1, parse("s", "select 2"), sync_))
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
	require.Equal(t, []string{"BindComplete", "row 2", "CommandComplete", "ready I"}, speak(t, b, 1, run("s")...))
	require.Equal(t, oneResult, speak(t, b, 1, run("other")...))
	require.Equal(t, "2", one(t, r.client(), "select count(*) from pg_prepared_statements"))
}

func TestTakenAndUnknownNamesAreAnsweredAsPostgreSQLDoes(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.seat(), r.seat()
	speak(t, b, 1, parse("theirs", "select 'secret'"), sync_)
	speak(t, a, 1, parse("s", "select 1"), sync_)
	require.Equal(t, []string{`42P05 prepared statement "s" already exists`, "ready I"}, speak(t, a, 1, append([]pgproto3.FrontendMessage{parse("s", "select 2")}, run("s")...)...))
	require.Equal(t, []string{`26000 prepared statement "theirs" does not exist`, "ready I"}, speak(t, a, 1, run("theirs")...))
	for _, guess := range []string{"dermaga_1_0", "dermaga_2_0", "dermaga_1_1"} {
		require.Contains(t, speak(t, a, 1, run(guess)...)[0], "26000")
	}
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
	require.Equal(t, []string{"CloseComplete", "ready I"}, speak(t, a, 1, &pgproto3.Close{ObjectType: 'S', Name: "s"}, sync_))
	require.Contains(t, speak(t, a, 1, run("s")...)[0], `26000 prepared statement "s" does not exist`)
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("s", "select 2"), sync_), "the name is free again")
}

func TestErrorsVoidWhatPostgreSQLSkipped(t *testing.T) {
	r := newRig(t, 1)
	a := r.seat()
	require.Equal(t, []string{`42601 syntax error at or near "selec"`, "ready I"}, speak(t, a, 1, parse("bad", "selec"), parse("skipped", "select 1"), sync_))
	for _, name := range []string{"bad", "skipped"} {
		require.Contains(t, speak(t, a, 1, run(name)...)[0], "26000", name)
	}
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("skipped", "select 1"), sync_))
	require.Equal(t, []string{`26000 prepared statement "x" does not exist`, "ready I"},
		speak(t, a, 1, &pgproto3.Bind{PreparedStatement: "x"}, &pgproto3.Close{ObjectType: 'S', Name: "skipped"}, sync_))
	require.Equal(t, oneResult, speak(t, a, 1, run("skipped")...), "its Close was skipped")

	// The error is known before the rest of the batch is sent.
	f := pgproto3.NewFrontend(a, a)
	f.Send(parse("late", "selec"))
	f.Send(&pgproto3.Flush{})
	require.NoError(t, f.Flush())
	m, err := f.Receive()
	require.NoError(t, err)
	require.IsType(t, &pgproto3.ErrorResponse{}, m)
	require.Equal(t, []string{"ready I"}, speak(t, a, 1, parse("late", "select 1"), &pgproto3.Query{String: "select 1"}, sync_))
	require.Contains(t, speak(t, a, 1, run("late")...)[0], "26000")
	require.Equal(t, oneResult, speak(t, a, 1, run("skipped")...))
}

func TestParseThatFailsInATransactionFailsIt(t *testing.T) {
	r := newRig(t, 1)
	a := r.seat()
	speak(t, a, 1, parse("s", "select 1"), sync_)
	speak(t, a, 1, &pgproto3.Query{String: "begin"})
	require.Equal(t, []string{`42P05 prepared statement "s" already exists`, "ready E"}, speak(t, a, 1, parse("s", "select 1"), sync_))
	require.Contains(t, speak(t, a, 1, run("s")...)[0], "25P02")
	require.Equal(t, []string{"CommandComplete", "ready I"}, speak(t, a, 1, &pgproto3.Query{String: "rollback"}))
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
}

func TestPipelineOfStatementsIsAnsweredInOrder(t *testing.T) {
	r := newRig(t, 2)
	a, blocker := r.seat(), r.seat()
	speak(t, a, 1, parse("one", "select 1"), parse("two", "select 2"), sync_)
	speak(t, blocker, 1, &pgproto3.Query{String: "begin"})
	got := speak(t, a, 3,
		&pgproto3.Bind{PreparedStatement: "one"}, &pgproto3.Execute{}, parse("three", "select 3"), &pgproto3.Bind{PreparedStatement: "three"}, &pgproto3.Execute{},
		&pgproto3.Close{ObjectType: 'S', Name: "three"}, sync_,
		&pgproto3.Bind{PreparedStatement: "two"}, &pgproto3.Execute{}, &pgproto3.Bind{PreparedStatement: "three"}, &pgproto3.Execute{}, sync_,
		parse("three", "select 1"), &pgproto3.Bind{PreparedStatement: "three"}, &pgproto3.Execute{}, sync_)
	require.Equal(t, []string{
		"BindComplete", "row 1", "CommandComplete", "ParseComplete", "BindComplete", "row 3", "CommandComplete", "CloseComplete", "ready I",
		"BindComplete", "row 2", "CommandComplete", `26000 prepared statement "three" does not exist`, "ready I",
		"ParseComplete", "BindComplete", "row 1", "CommandComplete", "ready I",
	}, got)
	require.Zero(t, r.stats().Waiting)
}

func TestUnnamedStatementSurvivesItsTransaction(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.seat(), r.seat()
	for range 3 {
		require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("", "select 1"), sync_))
		require.Contains(t, speak(t, b, 1, append([]pgproto3.FrontendMessage{parse("", "select 'b'")}, run("")...)...), "row b")
		require.Equal(t, oneResult, speak(t, a, 1, run("")...))
		require.Contains(t, speak(t, b, 1, run("")...), "row b")
		require.Equal(t, oneResult, speak(t, a, 1, run("")...), "again, without a Parse")
	}
	speak(t, a, 1, &pgproto3.Query{String: "select 1"})
	require.Contains(t, speak(t, a, 1, run("")...)[0], "26000", "a simple query destroys it")
}

func TestStatementsDependOnTheSettingsTheyWereParsedUnder(t *testing.T) {
	r := newRig(t, 1)
	seatOf := func(style string) *seat {
		s := r.seat()
		speak(t, s, 1, &pgproto3.Query{String: "set datestyle to 'iso, " + style + "'"})
		speak(t, s, 1, parse("s", "select '01/02/2026'::date"), sync_)
		return s
	}
	mdy, dmy := seatOf("mdy"), seatOf("dmy")
	for range 3 {
		require.Contains(t, speak(t, mdy, 1, run("s")...), "row 2026-01-02")
		require.Contains(t, speak(t, dmy, 1, run("s")...), "row 2026-02-01")
	}
	require.Equal(t, 1, r.backends())
}

func TestServersKeepABoundedNumberOfStatements(t *testing.T) {
	r := newRig(t, 1) // MaxStatements 50
	a := r.seat()
	for i := range 200 {
		name := fmt.Sprint("s", i)
		require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse(name, fmt.Sprintf("select %d", i)), sync_))
	}
	require.Equal(t, "50", one(t, r.client(), "select count(*) from pg_prepared_statements"))
	for i := range 200 {
		require.Contains(t, speak(t, a, 1, run(fmt.Sprint("s", i))...), fmt.Sprint("row ", i))
	}
}

func TestDeallocateAndDiscardAreHonoured(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.seat(), r.seat()
	prepare := func() {
		require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("PDO_1", "select 1"), sync_))
	}
	speak(t, b, 1, parse("b", "select 1"), sync_)
	for _, sql := range []string{`deallocate "PDO_1"`, "deallocate all", "discard all"} {
		prepare()
		require.Equal(t, []string{"CommandComplete", "ready I"}, speak(t, a, 1, &pgproto3.Query{String: sql}), sql)
		require.Contains(t, speak(t, a, 1, run("PDO_1")...)[0], "26000", sql)
		require.Equal(t, oneResult, speak(t, b, 1, run("b")...), "another client's statement lives on after %s", sql)
	}
	require.Equal(t, []string{`26000 prepared statement "unknown" does not exist`, "ready I"}, speak(t, a, 1, &pgproto3.Query{String: "deallocate unknown"}))
	require.Equal(t, 1, r.backends())
}

func TestChangedTableUnderAStatementDoesNotPoisonThePool(t *testing.T) {
	r := newRig(t, 1)
	one(t, r.client(), "create table t (a int); insert into t values (1)")
	a := r.seat()
	speak(t, a, 1, parse("s", "select * from t"), sync_)
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
	one(t, r.client(), "alter table t add column b int")
	got := speak(t, a, 1, run("s")...)
	require.Contains(t, got[0], "0A000", "as PostgreSQL says it")
	require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
}

func TestStatementPreparedAnewAfterAChangeIsUpToDate(t *testing.T) {
	r := newRig(t, 2)
	a, b, blocker := r.seat(), r.seat(), r.seat()
	define := func(sql string) { one(t, r.client(), sql) }
	define("create type e as enum ('x'); create table t (a int)")
	for range 2 { // on both servers
		speak(t, a, 1, parse("", "select 'x'::e, t.* from t"), &pgproto3.Describe{ObjectType: 'S'}, sync_)
		speak(t, a, 1, parse(fmt.Sprint("s", len(a.params)), "select 'x'::e, t.* from t"), sync_)
		speak(t, blocker, 1, &pgproto3.Query{String: "begin"})
	}
	speak(t, blocker, 1, &pgproto3.Query{String: "commit"})
	define("drop type e; create type e as enum ('x', 'y'); alter table t add b text")
	for i := range 4 {
		name := fmt.Sprint("b", i)
		require.Equal(t, []string{"ParseComplete", "ParameterDescription", "RowDescription", "ready I"},
			speak(t, b, 1, parse(name, "select 'x'::e, t.* from t"), &pgproto3.Describe{ObjectType: 'S', Name: name}, sync_))
		if i%2 == 0 {
			speak(t, blocker, 1, &pgproto3.Query{String: "begin"})
		} else {
			speak(t, blocker, 1, &pgproto3.Query{String: "rollback"})
		}
	}
}

func TestLongStatementsAndValuesPass(t *testing.T) {
	r := newRig(t, 1)
	a := r.client()
	ctx := context.Background()
	long := "select $1::text || '" + strings.Repeat("x", 200_000) + "'"
	_, err := a.Prepare(ctx, "long", long, nil)
	require.NoError(t, err)
	value := []byte(strings.Repeat("v", 300_000))
	for range 3 {
		res := a.ExecPrepared(ctx, "long", [][]byte{value}, nil, nil).Read()
		require.NoError(t, res.Err)
		require.Len(t, res.Rows[0][0], 500_000)
	}
	require.NoError(t, a.Close(ctx))
	c := r.client()
	_, err = c.Prepare(ctx, "short", "select length($1)", nil)
	require.NoError(t, err)
	for range 3 {
		res := c.ExecPrepared(ctx, "short", [][]byte{value}, nil, nil).Read()
		require.NoError(t, res.Err)
		require.Equal(t, "300000", string(res.Rows[0][0]))
		require.Zero(t, r.stats().Active)
	}
}

func TestManyClientsWithStatementsOnOneServer(t *testing.T) {
	r := newRig(t, 1)
	var all sync.WaitGroup
	for n := range 20 {
		c := r.client()
		all.Go(func() {
			ctx := context.Background()
			name := fmt.Sprint("s", n%3)
			if _, err := c.Prepare(ctx, name, fmt.Sprintf("select %d + $1::int", n%5), nil); err != nil {
				t.Error(err)
				return
			}
			for i := range 100 {
				res := c.ExecPrepared(ctx, name, [][]byte{fmt.Append(nil, i)}, nil, nil).Read()
				if res.Err != nil || string(res.Rows[0][0]) != fmt.Sprint(n%5+i) {
					t.Errorf("client %d: %v, %v", n, res.Rows, res.Err)
					return
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, r.backends())
}

func TestSessionModeLeavesStatementsToTheServer(t *testing.T) {
	r := newRig(t, 1)
	a := r.seat(func(c *relay.Client) { c.Mode = relay.Session })
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("mine", "select 1"), sync_))
	require.Contains(t, speak(t, a, 1, &pgproto3.Query{String: "select name from pg_prepared_statements"}), "row mine")
	require.Equal(t, oneResult, speak(t, a, 1, run("mine")...))
	require.NoError(t, a.Close())
	require.Eventually(t, func() bool { return r.stats().Active == 0 }, wait, tick)
	require.Equal(t, "0", one(t, r.client(), "select count(*) from pg_prepared_statements"))
}

// A driver decodes rows by the columns that it was told of when it prepared the
// statement, wherever it runs.
func TestStatementWhoseColumnsHaveChangedIsRefusedOnEveryServer(t *testing.T) {
	for _, size := range []int{1, 2} {
		r := newRig(t, size)
		a, b := r.seat(), r.client()
		one(t, b, "create table t (a int, b int); insert into t values (1, 2)")
		require.Contains(t, speak(t, a, 1, parse("s", "select * from t"), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync_), "ParseComplete")
		require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
		one(t, b, "alter table t alter column b type text")
		if size == 2 { // a's next server has never seen it
			one(t, b, "begin")
			speak(t, a, 1, &pgproto3.Query{String: "begin"})
			one(t, b, "commit")
			speak(t, a, 1, &pgproto3.Query{String: "commit"})
		}
		changed := []string{"0A000 cached plan must not change result type", "ready I"}
		require.Equal(t, changed, speak(t, a, 1, run("s")...))
		require.Equal(t, changed, speak(t, a, 1, run("s")...), "until it is prepared anew")
		require.Equal(t, []string{"CloseComplete", "ParseComplete", "ready I"}, speak(t, a, 1, &pgproto3.Close{ObjectType: 'S', Name: "s"}, parse("s", "select * from t"), sync_))
		require.Equal(t, oneResult, speak(t, a, 1, run("s")...))
		one(t, b, "alter table t drop column b")
		require.Equal(t, "1", one(t, b, "select count(*) from t"))
	}
}

func TestServerStaysWithAClientThatWaitsInTheMiddleOfABatch(t *testing.T) {
	r := newRig(t, 2)
	a, b, c := r.seat(), r.client(), r.client()
	speak(t, a, 1, parse("s", "select 1"), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync_)
	one(t, b, "begin") // there; a's next server has to be told of s first, and a waits
	speak(t, a, 1, &pgproto3.Query{String: "begin"})
	begun := make(chan error)
	go func() { // an error inside of a transaction, also of a's
		_, err := c.Exec(context.Background(), "begin isolation level repeatable read").ReadAll()
		begun <- err
	}()
	require.Eventually(t, func() bool { return r.stats().Waiting == 1 }, wait, time.Millisecond)
	got := speak(t, a, 2, append([]pgproto3.FrontendMessage{&pgproto3.Query{String: "commit"}}, run("s")...)...)
	require.Equal(t, append([]string{"CommandComplete", "ready I"}, oneResult...), got)
	require.NoError(t, <-begun)
}

func TestDescribedStatementFollowsItsClient(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.seat(), r.client()
	speak(t, a, 1, parse("s", "select 1"), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, parse("u", "select 2"), sync_)
	one(t, b, "begin") // the other server comes into use
	speak(t, a, 1, &pgproto3.Query{String: "begin"})
	one(t, b, "commit")
	for range 3 {
		got := speak(t, a, 1, append([]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "u"}, &pgproto3.Execute{}}, run("s")...)...)
		require.Equal(t, []string{"BindComplete", "row 2", "CommandComplete", "BindComplete", "row 1", "CommandComplete", "ready T"}, got)
	}
	require.Equal(t, []string{"CommandComplete", "ready I"}, speak(t, a, 1, &pgproto3.Query{String: "commit"}))
}

func TestLongStatementThatFailsTakesNothingWithIt(t *testing.T) {
	r := newRig(t, 1)
	a := r.seat()
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("", "select 1"), sync_))
	long := "selec 1 -- " + strings.Repeat("x", 300_000)
	require.Contains(t, speak(t, a, 1, parse("long", long), sync_)[0], "42601")
	require.Equal(t, oneResult, speak(t, a, 1, run("")...), "the unnamed statement is still there")
	require.Contains(t, speak(t, a, 1, run("long")...)[0], "26000")
	require.Equal(t, []string{"ParseComplete", "ready I"}, speak(t, a, 1, parse("long", "select 1"), sync_), "the name is free")
	require.Equal(t, oneResult, speak(t, a, 1, run("long")...))
}
