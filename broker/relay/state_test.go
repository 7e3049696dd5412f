package relay_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
)

func TestReportedSettingsAreCarriedAndNotLeaked(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.client(), r.client()
	one(t, a, "set timezone to 'asia/jakarta'; set datestyle to german")
	require.Equal(t, "Asia/Jakarta", a.ParameterStatus("TimeZone"))
	home := one(t, b, "show timezone")
	require.NotEqual(t, "Asia/Jakarta", home)
	require.Equal(t, "Asia/Jakarta", one(t, a, "show timezone"))
	require.Equal(t, "German, DMY", one(t, a, "show datestyle"))
	require.Equal(t, "ISO, MDY", one(t, b, "show datestyle"))
	require.Zero(t, r.stats().Active, "a reported setting needs no server of its own")

	one(t, a, "begin; set timezone to 'utc'; rollback")
	require.Equal(t, home, one(t, b, "show timezone"))
	require.Equal(t, "Asia/Jakarta", one(t, a, "show timezone"))
	require.Equal(t, "Asia/Jakarta", a.ParameterStatus("TimeZone"))
	require.Equal(t, 1, r.backends())
}

func TestStartupSettingsAreReplayedAsValues(t *testing.T) {
	r := newRig(t, 1)
	nasty := `x'; drop table t; -- \ "` + "\n"
	one(t, r.client(), "create table t ()")
	a := r.client(func(c *relay.Client) {
		c.Set = []relay.Param{{Name: "nusa.company", Value: nasty}, {Name: "search_path", Value: "pg_catalog"}}
		for i := range c.Told {
			if c.Told[i].Name == "application_name" {
				c.Told[i].Value = nasty
				c.Own = append(c.Own, c.Told[i])
			}
		}
	})
	b := r.client()
	for range 3 {
		require.Equal(t, nasty, one(t, a, "select current_setting('nusa.company')"))
		require.Equal(t, "pg_catalog", one(t, a, "show search_path"))
		require.Contains(t, one(t, a, "show application_name"), "'; drop table t; --")
		require.Empty(t, one(t, b, "select coalesce(current_setting('nusa.company', true), '')"))
		require.Equal(t, `"$user", public`, one(t, b, "show search_path"))
		require.Equal(t, "0", one(t, b, "select count(*) from t"))
	}
	require.Equal(t, 1, r.backends())
}

func TestEveryReportedSettingOfTheStartupPacketIsReplayed(t *testing.T) {
	r := newRig(t, 1)
	a := r.client(func(c *relay.Client) {
		for i := range c.Told {
			switch c.Told[i].Name {
			case "default_transaction_read_only":
				c.Told[i].Value = "on"
			case "TimeZone":
				c.Told[i].Value = "asia/jakarta"
			default:
				continue
			}
			c.Own = append(c.Own, c.Told[i])
		}
	})
	b := r.client()
	for range 2 {
		require.Equal(t, "on", one(t, a, "show default_transaction_read_only"))
		require.Equal(t, "off", one(t, b, "show default_transaction_read_only"))
	}
	require.Equal(t, "Asia/Jakarta", a.ParameterStatus("TimeZone"), "told in the server's spelling")
}

func TestChangedDefaultOfTheServerIsAdoptedNotFought(t *testing.T) {
	r := newRig(t, 1)
	a := r.client()
	one(t, a, "do $$ begin execute 'alter database ' || current_database() || ' set timezone = ''Asia/Jakarta'''; end $$")
	require.NoError(t, a.Close(context.Background()))
	b := r.client() // told what the first server greeted with
	_, err := try(r.client(), "select pg_terminate_backend(pg_backend_pid())")
	require.Equal(t, "57P01", code(err))
	require.Equal(t, "Asia/Jakarta", one(t, b, "show timezone"))
	require.Equal(t, "Asia/Jakarta", b.ParameterStatus("TimeZone"))
	one(t, b, "set timezone = 'UTC'")
	require.Equal(t, "Asia/Jakarta", one(t, r.client(), "show timezone"))
	require.Equal(t, "UTC", one(t, b, "show timezone"))
}

func TestStartupSettingThatTheServerRefusesEndsTheClient(t *testing.T) {
	r := newRig(t, 1)
	a := r.client(func(c *relay.Client) { c.Set = []relay.Param{{Name: "work_mem", Value: "much"}} })
	_, err := try(a, "select 1")
	require.Equal(t, "22023", code(err), "%v", err)
	require.Equal(t, "1", one(t, r.client(), "select 1"))
}

// Each of these leaves something in its session. Its client keeps it, and the
// next one on the same server does not see it.
func TestSessionStateStaysWithItsClientAndIsGoneForTheNext(t *testing.T) {
	for name, c := range map[string]struct{ make, see, want, other string }{
		"set_config":       {"select set_config('work_mem', '77MB', false)", "show work_mem", "77MB", "4MB"},
		"set in DO":        {"do $$ begin perform set_config('work_mem', '77MB', false); end $$", "show work_mem", "77MB", "4MB"},
		"SQL PREPARE":      {"prepare p as select 7", "select count(*) from pg_prepared_statements", "1", "0"},
		"temporary table":  {"create temp table x as select 1", "select count(*) from pg_class where relname = 'x'", "1", "0"},
		"select into temp": {"select 1 into temp y", "select count(*) from pg_class where relname = 'y'", "1", "0"},
		"advisory lock":    {"select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory'", "1", "0"},
		"listen":           {"listen news", "select count(*) from pg_listening_channels()", "1", "0"},
		"cursor with hold": {"declare c cursor with hold for select 1", "select count(*) from pg_cursors where name = 'c'", "1", "0"},
		"set role":         {"set role pg_monitor", "select current_user", "pg_monitor", "postgres"},
		"setseed":          {"select setseed(0.5)", "select 1", "1", "1"},
		"currval":          {"create sequence q; select nextval('q')", "select nextval('q')", "2", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			mine := r.seat()
			a := mine.driver(t)
			one(t, a, c.make)
			other := r.client()
			one(t, other, "begin")
			require.Equal(t, c.want, one(t, a, c.see))
			one(t, other, "commit")
			require.NoError(t, a.Close(context.Background()))
			require.Eventually(t, func() bool { return r.stats().Clients == 1 }, wait, tick)
			// Both servers, whichever was a's.
			b := r.client()
			one(t, other, "begin")
			require.Equal(t, c.other, one(t, b, c.see))
			if name != "currval" {
				require.Equal(t, c.other, one(t, other, c.see))
			}
		})
	}
}

// A plain SET is carried to whatever server its client gets, with its committed
// value in the server's spelling, and nobody else sees it.
func TestUnreportedSettingsAreCarriedAndNotLeaked(t *testing.T) {
	for name, c := range map[string]struct{ make, see, want, other string }{
		"setting":            {"set statement_timeout = 7000", "show statement_timeout", "7s", "0"},
		"two":                {"set work_mem = '77MB'; set statement_timeout to '7s'", "select current_setting('work_mem') || current_setting('statement_timeout')", "77MB7s", "4MB0"},
		"search_path":        {"set search_path = pg_catalog, \"A b\"", "show search_path", "pg_catalog, \"A b\"", `"$user", public`},
		"schema":             {"set schema 'x'", "show search_path", "x", `"$user", public`},
		"custom":             {"set nusa.x = 'it''s; --'", "select coalesce(current_setting('nusa.x', true), '')", "it's; --", ""},
		"characteristics":    {"set session characteristics as transaction isolation level serializable", "show default_transaction_isolation", "serializable", "read committed"},
		"read only":          {"set session characteristics as transaction read only", "show default_transaction_read_only", "on", "off"},
		"committed":          {"begin; set work_mem = '77MB'; commit", "show work_mem", "77MB", "4MB"},
		"committed, chained": {"begin; set work_mem = '77MB'; commit and chain; rollback", "show work_mem", "77MB", "4MB"},
		"rolled back":        {"begin; set work_mem = '77MB'; rollback", "show work_mem", "4MB", "4MB"},
		"to a savepoint":     {"begin; set work_mem = '5MB'; savepoint a; set work_mem = '77MB'; rollback to a; commit", "show work_mem", "5MB", "4MB"},
		"reset":              {"set work_mem = '77MB'; reset work_mem", "show work_mem", "4MB", "4MB"},
		"reset all":          {"set work_mem = '77MB'; reset all", "show work_mem", "4MB", "4MB"},
		"discard all":        {"set work_mem = '77MB'", "show work_mem", "77MB", "4MB"},
		"local":              {"begin; set local work_mem = '77MB'; commit", "show work_mem", "4MB", "4MB"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			a, b := r.client(), r.client()
			one(t, a, c.make)
			for range 2 {
				require.Equal(t, c.other, one(t, b, c.see))
				require.Equal(t, c.want, one(t, a, c.see))
			}
			require.Zero(t, r.stats().Active)
			_, err := try(a, "set work_mem = '9MB'; select 1/0")
			require.Equal(t, "22012", code(err))
			require.Equal(t, c.other, one(t, b, c.see))
			require.Equal(t, c.want, one(t, a, c.see), "a SET that failed with its query")
			one(t, a, "discard all")
			require.Equal(t, c.other, one(t, a, c.see))
			require.Equal(t, c.other, one(t, b, c.see))
			require.Equal(t, 1, r.backends())
		})
	}
}

func TestSettingsOfPreparedStatementsAreCarriedWhenTheyRun(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.seat(), r.seat()
	show := &pgproto3.Query{String: "show work_mem"}
	speak(t, a, 1, parse("s", "set work_mem = '77MB'"), sync_)
	require.Contains(t, speak(t, a, 1, show), "row 4MB")
	require.Equal(t, []string{"BindComplete", "CommandComplete", "ready I"}, speak(t, a, 1, run("s")...))
	require.Contains(t, speak(t, b, 1, show), "row 4MB")
	require.Contains(t, speak(t, a, 1, show), "row 77MB")
	speak(t, a, 1, append([]pgproto3.FrontendMessage{parse("", "set work_mem = '78MB'")}, run("")...)...)
	require.Contains(t, speak(t, b, 1, show), "row 4MB")
	require.Contains(t, speak(t, a, 1, show), "row 78MB")
	require.Equal(t, []string{"RowDescription", "row 78MB", "CommandComplete", "ready I", "CommandComplete", "ready I", "RowDescription", "row 79MB", "CommandComplete", "ready I"},
		speak(t, a, 3, show, &pgproto3.Query{String: "set work_mem = '79MB'"}, show), "in one pipeline")
	require.Equal(t, 1, r.backends())
}

func TestResetGoesBackToTheStartupPacket(t *testing.T) {
	r := newRig(t, 1)
	a := r.client(func(c *relay.Client) { c.Set = []relay.Param{{Name: "work_mem", Value: "5MB"}} })
	b := r.client()
	for _, back := range []string{"reset all", "discard all"} {
		one(t, a, "set work_mem = '77MB'")
		require.Equal(t, "4MB", one(t, b, "show work_mem"))
		require.Equal(t, "77MB", one(t, a, "show work_mem"))
		one(t, a, back)
		require.Equal(t, "4MB", one(t, b, "show work_mem"))
		require.Equal(t, "5MB", one(t, a, "show work_mem"), back)
	}
}

func TestNamedStatementsWorkWhileOthersComeAndGo(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.client(), r.client()
	ctx := context.Background()
	_, err := a.Prepare(ctx, "s1", "select $1::int + 1", nil)
	require.NoError(t, err)
	for range 5 {
		res := a.ExecPrepared(ctx, "s1", [][]byte{[]byte("41")}, nil, nil).Read()
		require.NoError(t, res.Err)
		require.Equal(t, "42", string(res.Rows[0][0]))
		_, err = b.Prepare(ctx, "s1", "select 'b'", nil)
		require.NoError(t, err)
		require.NoError(t, b.Deallocate(ctx, "s1"))
	}
}

func TestUnnamedStatementOfAnotherClientIsNeverRun(t *testing.T) {
	r := newRig(t, 1)
	a := r.client()
	res := a.ExecParams(context.Background(), "select 'secret of a'", nil, nil, nil, nil).Read()
	require.NoError(t, res.Err)
	s := r.seat()
	f := pgproto3.NewFrontend(s, s)
	f.Send(&pgproto3.Bind{})
	f.Send(&pgproto3.Execute{})
	f.Send(&pgproto3.Sync{})
	require.NoError(t, f.Flush())
	m, err := f.Receive()
	require.NoError(t, err)
	require.Equal(t, "26000", m.(*pgproto3.ErrorResponse).Code)
	m, err = f.Receive()
	require.NoError(t, err)
	require.IsType(t, &pgproto3.ReadyForQuery{}, m)
	f.Send(&pgproto3.Query{String: "select 'alive'"})
	require.NoError(t, f.Flush())
	m, err = f.Receive()
	require.NoError(t, err)
	require.IsType(t, &pgproto3.RowDescription{}, m)
}

func TestParseAndBindInSeparateBatches(t *testing.T) {
	r := newRig(t, 1)
	s := r.seat()
	f := pgproto3.NewFrontend(s, s)
	for range 3 {
		f.Send(&pgproto3.Parse{Query: "select 'mine'"})
		f.Send(&pgproto3.Describe{ObjectType: 'S'})
		f.Send(&pgproto3.Sync{})
		require.NoError(t, f.Flush())
		receive(t, f, &pgproto3.ParseComplete{}, &pgproto3.ParameterDescription{}, &pgproto3.RowDescription{}, &pgproto3.ReadyForQuery{})
		require.Zero(t, r.stats().Active, "the text is remembered, not the server")
		f.Send(&pgproto3.Bind{})
		f.Send(&pgproto3.Execute{})
		f.Send(&pgproto3.Sync{})
		require.NoError(t, f.Flush())
		receive(t, f, &pgproto3.BindComplete{}, &pgproto3.DataRow{}, &pgproto3.CommandComplete{}, &pgproto3.ReadyForQuery{})
		require.Zero(t, r.stats().Active)
		require.Equal(t, "1", one(t, r.client(), "select 1"))
	}
}

func receive(t *testing.T, f *pgproto3.Frontend, want ...pgproto3.BackendMessage) {
	t.Helper()
	for _, w := range want {
		m, err := f.Receive()
		require.NoError(t, err)
		require.IsType(t, w, m)
	}
}

func TestPipelinesAnswerEverySyncInOrder(t *testing.T) {
	r := newRig(t, 1)
	a := r.client()
	other := r.client()
	for range 10 {
		p := a.StartPipeline(context.Background())
		for i := range 5 {
			sql := "select 1"
			if i == 2 {
				sql = "select 1/0"
			}
			p.SendQueryParams(sql, nil, nil, nil, nil)
			require.NoError(t, p.Sync())
		}
		failed, synced := 0, 0
		for synced < 5 {
			res, err := p.GetResults()
			switch m := res.(type) {
			case *pgconn.ResultReader:
				if m.Read().Err != nil {
					failed++
				}
			case *pgconn.PipelineSync:
				synced++
			default:
				require.Error(t, err)
				failed++
			}
		}
		require.Equal(t, 1, failed)
		require.NoError(t, p.Close())
		require.Equal(t, "1", one(t, other, "select 1"))
	}
	require.Equal(t, 1, r.backends())
}

func TestCopyBothWaysAndItsErrors(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.client(), r.client()
	ctx := context.Background()
	one(t, a, "create table t (x int)")
	rows := strings.Repeat("1\n", 200_000)
	tag, err := a.CopyFrom(ctx, strings.NewReader(rows), "copy t from stdin")
	require.NoError(t, err)
	require.EqualValues(t, 200_000, tag.RowsAffected())
	var out strings.Builder
	_, err = b.CopyTo(ctx, &out, "copy t to stdout")
	require.NoError(t, err)
	require.Equal(t, rows, out.String())
	for range 20 { // late copy data after an error never reaches the next client
		_, err = a.CopyFrom(ctx, strings.NewReader("1\nx\n"+rows), "copy t from stdin")
		require.Equal(t, "22P02", code(err), "%v", err)
		require.Equal(t, "200000", one(t, b, "select count(*) from t"))
		require.Equal(t, "200000", one(t, a, "select count(*) from t"))
	}
	_, err = a.CopyFrom(ctx, io.MultiReader(strings.NewReader("1\n"), failing{}), "copy t from stdin")
	require.Error(t, err)
	require.Equal(t, "200000", one(t, b, "select count(*) from t"))
	require.Equal(t, 1, r.backends())
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// In the extended protocol PostgreSQL ignores the Sync that came before the copy
// data, so the broker must not wait for its answer.
func TestCopyInTheExtendedProtocolReleasesItsServer(t *testing.T) {
	r := newRig(t, 1)
	one(t, r.client(), "create table t (x int)")
	s := r.seat()
	f := pgproto3.NewFrontend(s, s)
	for range 3 {
		f.Send(&pgproto3.Parse{Query: "copy t from stdin"})
		f.Send(&pgproto3.Bind{})
		f.Send(&pgproto3.Execute{})
		f.Send(&pgproto3.Sync{})
		require.NoError(t, f.Flush())
		receive(t, f, &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CopyInResponse{})
		f.Send(&pgproto3.CopyData{Data: []byte("1\n")})
		f.Send(&pgproto3.CopyDone{})
		f.Send(&pgproto3.Sync{})
		require.NoError(t, f.Flush())
		receive(t, f, &pgproto3.CommandComplete{}, &pgproto3.ReadyForQuery{})
		require.Equal(t, "1", one(t, r.client(), "select 1"))
	}
	// All of it at once.
	f.Send(&pgproto3.Parse{Query: "copy t from stdin"})
	f.Send(&pgproto3.Bind{})
	f.Send(&pgproto3.Execute{})
	f.Send(&pgproto3.Sync{})
	f.Send(&pgproto3.CopyData{Data: []byte("1\n")})
	f.Send(&pgproto3.CopyDone{})
	f.Send(&pgproto3.Sync{})
	require.NoError(t, f.Flush())
	receive(t, f, &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CopyInResponse{}, &pgproto3.CommandComplete{}, &pgproto3.ReadyForQuery{})
	require.Equal(t, "4", one(t, r.client(), "select count(*) from t"))
}

func TestDiscardAllFreesAServerThatWasKept(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.client(), r.client()
	one(t, a, "set role pg_monitor")
	require.Equal(t, 1, r.stats().Active)
	one(t, a, "discard all")
	require.Zero(t, r.stats().Active)
	require.Equal(t, "postgres", one(t, b, "select current_user"))
}

func TestSessionModeKeepsTheServerUntilTheEnd(t *testing.T) {
	r := newRig(t, 2)
	mine := r.seat(func(c *relay.Client) { c.Mode = relay.Session })
	a := mine.driver(t)
	b := r.client()
	one(t, a, "create temp table x (i int)")
	pid := one(t, a, "select pg_backend_pid()")
	for range 3 {
		require.NotEqual(t, pid, one(t, b, "select pg_backend_pid()"))
		require.Equal(t, "0", one(t, a, "select count(*) from x"))
	}
	require.NoError(t, a.Close(context.Background()))
	require.Eventually(t, func() bool { return r.stats().Active == 0 }, wait, tick)
	one(t, b, "begin")
	require.Equal(t, "0", one(t, r.client(), "select count(*) from pg_class where relname = 'x'"))
}
