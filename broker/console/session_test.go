package console_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/console"
)

// code is the SQLSTATE of an error, "" of none.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var told *pgconn.PgError
	require.ErrorAs(t, err, &told)
	return told.Code
}

func TestEachCommandHasItsRole(t *testing.T) {
	const no = "42501"
	d := open(t, &harbour{}, console.Stats)
	conn := enter(t, d, "pgbouncer")
	type allowed struct{ stats, admin string } // SQLSTATE; "": it is done
	cases := map[string]allowed{
		"SHOW HELP": {}, "SET DateStyle TO 'ISO'": {}, "SHOW client_encoding": {}, "SELECT timezone": {}, "-- ping": {},
		"PAUSE": {stats: no}, "PAUSE pt-satu": {stats: no}, "PAUSE nobody": {no, "3D000"}, "PAUSE pgbouncer": {no, "42809"},
		"RESUME": {no, "55000"}, "RESUME pt-satu": {stats: no}, "RESUME pt-dua": {no, "55000"}, "RESUME dermaga": {no, "42809"},
		"KILL": {stats: no}, "KILL pt-satu": {stats: no}, "KILL pgbouncer": {no, "42809"},
		"KILL_CLIENT 41": {stats: no}, "KILL_CLIENT 40": {no, "42704"}, "KILL_CLIENT x": {no, "22P02"}, "KILL_CLIENT": {no, "22P02"},
		"RECONNECT": {stats: no}, "RECONNECT pt-satu": {stats: no}, "RECONNECT pgbouncer": {no, "42809"},
		"RELOAD": {stats: no}, "SET max_client_conn = 1": {no, "0A000"},
		"DISABLE pt-satu": {no, "0A000"}, "ENABLE pt-satu": {no, "0A000"}, "SHUTDOWN": {no, "0A000"}, "SUSPEND": {no, "0A000"}, "WAIT_CLOSE": {no, "0A000"},
		"RELOAD x": {"42601", "42601"}, "SHOW": {"42601", "42601"}, "SHOW TABLES": {"42601", "42601"}, "SELECT 1": {"42601", "42601"}, "DROP x": {"42601", "42601"},
	}
	for _, name := range shows {
		cases["SHOW "+name] = allowed{}
		cases["SELECT "+strings.ToLower(name)] = allowed{}
	}
	for _, role := range []console.Role{console.Stats, console.Admin} {
		d.become(role)
		for command, want := range cases {
			may := want.stats
			if role == console.Admin {
				may = want.admin
			}
			_, err := ask(t, conn, command)
			require.Equal(t, may, code(t, err), "%s as %d", command, role)
			_, err = conn.Exec(t.Context(), command)
			require.Equal(t, may, code(t, err), "%s as %d, extended", command, role)
		}
	}
}

func TestCommandsReachThePoolerAndAnswerWithTheirTags(t *testing.T) {
	h := &harbour{}
	d := open(t, h, console.Admin)
	conn := enter(t, d, "dermaga")
	for _, c := range []struct{ command, tag, order string }{
		{"PAUSE;", "PAUSE", "pause "},
		{"pause pt-satu", "PAUSE", "pause pt-satu"},
		{"RESUME \"pt-satu\"", "RESUME", "resume pt-satu"},
		{"KILL pt-satu", "KILL", "kill pt-satu"},
		{"KILL", "KILL", "kill "},
		{"KILL_CLIENT 41", "KILL_CLIENT", "kill client 41"},
		{"RECONNECT", "RECONNECT", "reconnect "},
		{"RELOAD", "RELOAD", "reload"},
	} {
		r, err := ask(t, conn, c.command)
		require.NoError(t, err)
		require.Equal(t, c.tag, r.CommandTag.String())
		told := h.told()
		require.Equal(t, c.order, told[len(told)-1])
		require.Equal(t, "sari: "+c.command+": <nil>", <-d.reports)
	}
}

func TestErrorsBeginWithPgBouncersWords(t *testing.T) {
	d := open(t, &harbour{}, console.Admin)
	conn := enter(t, d, "pgbouncer")
	for command, want := range map[string]string{
		"BANANA":          "invalid command 'BANANA', use SHOW HELP;",
		"PAUSE nobody":    "no such database: nobody",
		"RESUME":          "pooler is not paused/suspended",
		"RESUME pt-dua":   "database pt-dua is not paused",
		"KILL pgbouncer":  "cannot kill admin db: pgbouncer",
		"KILL_CLIENT 0x5": "invalid client pointer supplied",
		"KILL_CLIENT 40":  "client not found",
		"SET a = b":       "SET failed",
	} {
		_, err := ask(t, conn, command)
		var told *pgconn.PgError
		require.ErrorAs(t, err, &told)
		require.Equal(t, want, told.Message)
		require.Equal(t, "ERROR", told.Severity)
	}
	_, err := ask(t, conn, "SHOW VERSION")
	require.NoError(t, err, "the connection lives on")
}

func TestDriversMaySetWhatTheyAlwaysSet(t *testing.T) {
	d := open(t, &harbour{}, console.Stats)
	var notices []string
	cfg, err := pgx.ParseConfig("postgres://sari@" + d.address + "/pgbouncer?sslmode=disable&extra_float_digits=2")
	require.NoError(t, err)
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message+n.Detail) }
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	r, err := ask(t, conn, "SET extra_float_digits = 3")
	require.NoError(t, err)
	require.Equal(t, "SET", r.CommandTag.String())
	r, err = ask(t, conn, "show Standard_Conforming_Strings")
	require.NoError(t, err)
	require.Equal(t, "on", string(r.Rows[0][0]))
	_, err = ask(t, conn, "SHOW HELP")
	require.NoError(t, err)
	require.Len(t, notices, 2)
	require.Equal(t, "SET ignored", notices[0])
	require.Contains(t, notices[1], "KILL_CLIENT")
	require.True(t, strings.HasPrefix(notices[1], "Console usage"))
}

func TestCtrlCEndsAPauseThatWaits(t *testing.T) {
	h := &harbour{pausing: make(chan struct{})}
	conn := enter(t, open(t, h, console.Admin), "pgbouncer")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	paused := make(chan error, 1)
	go func() { paused <- conn.PgConn().Exec(ctx, "PAUSE").Close() }()
	require.Eventually(t, func() bool { return len(h.told()) == 1 }, patience, time.Millisecond)
	require.NoError(t, conn.PgConn().CancelRequest(t.Context()))
	require.Equal(t, "57014", code(t, <-paused))
	require.Equal(t, []string{"pause ", "pause  undone"}, h.told())

	go func() { paused <- conn.PgConn().Exec(ctx, "PAUSE pt-satu").Close() }()
	require.Eventually(t, func() bool { return len(h.told()) == 3 }, patience, time.Millisecond)
	close(h.pausing)
	require.NoError(t, <-paused)
	require.NoError(t, conn.PgConn().CancelRequest(t.Context()), "of nothing")
	_, err := ask(t, conn, "SHOW STATE")
	require.NoError(t, err)
}

func TestAPauseEndsWithWhoWaitsForIt(t *testing.T) {
	h := &harbour{pausing: make(chan struct{})}
	d := open(t, h, console.Admin)
	conn := enter(t, d, "pgbouncer")
	gone := make(chan error, 1)
	go func() { gone <- conn.PgConn().Exec(context.Background(), "PAUSE").Close() }()
	require.Eventually(t, func() bool { return len(h.told()) == 1 }, patience, time.Millisecond)
	require.NoError(t, conn.PgConn().Conn().(*net.TCPConn).CloseWrite())
	require.Error(t, <-gone)
	require.Eventually(t, func() bool { return len(h.told()) == 2 }, patience, time.Millisecond)
	require.Equal(t, "pause  undone", h.told()[1])
}

func TestAConsoleClientCanBeKilled(t *testing.T) {
	d := open(t, &harbour{}, console.Admin)
	one, two := enter(t, d, "pgbouncer"), enter(t, d, "dermaga")
	_, err := ask(t, one, "KILL_CLIENT 1002")
	require.NoError(t, err)
	_, err = ask(t, two, "SHOW STATE")
	require.Equal(t, "57P01", code(t, err))
	require.Eventually(t, func() bool { // it hears of its end before it has ended
		r, err := ask(t, one, "SHOW CLIENTS")
		return err == nil && len(r.Rows) == 4
	}, patience, time.Millisecond)
}

func TestARightThatIsTakenAwayEndsTheVisit(t *testing.T) {
	d := open(t, &harbour{}, console.Admin)
	conn := enter(t, d, "pgbouncer")
	d.become(console.Nobody)
	_, err := ask(t, conn, "SHOW STATE")
	require.Equal(t, "57P01", code(t, err))
	_, err = ask(t, conn, "SHOW STATE")
	require.Error(t, err)
}

func TestOnlySoManyMayVisit(t *testing.T) {
	d := open(t, &harbour{}, console.Stats)
	var conns []*pgx.Conn
	for range 5 {
		conns = append(conns, enter(t, d, "pgbouncer"))
	}
	_, err := pgx.Connect(t.Context(), "postgres://sari@"+d.address+"/pgbouncer?sslmode=disable")
	require.Equal(t, "53300", code(t, err))
	require.NoError(t, conns[0].Close(t.Context()))
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), "postgres://sari@"+d.address+"/pgbouncer?sslmode=disable")
		if err != nil {
			return false
		}
		_ = conn.Close(t.Context())
		return true
	}, patience, time.Millisecond)
}

// A raw client sends messages as it likes.
func raw(t *testing.T, d *door) *pgproto3.Frontend {
	t.Helper()
	conn, err := net.Dial("tcp", d.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	f := pgproto3.NewFrontend(conn, conn)
	f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "sari", "database": "pgbouncer"}})
	require.NoError(t, f.Flush())
	answers(t, f)
	return f
}

// answers are what the console says up to ReadyForQuery, a letter for each
// message and the SQLSTATE of errors.
func answers(t *testing.T, f *pgproto3.Frontend) string {
	t.Helper()
	var b strings.Builder
	for {
		m, err := f.Receive()
		if err != nil {
			return b.String() + "closed"
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			b.WriteString(m.Severity + m.Code + " ")
		case *pgproto3.ReadyForQuery:
			return b.String() + "Z"
		case *pgproto3.ParseComplete:
			b.WriteString("1 ")
		case *pgproto3.BindComplete:
			b.WriteString("2 ")
		case *pgproto3.CloseComplete:
			b.WriteString("3 ")
		case *pgproto3.RowDescription:
			b.WriteString("T ")
		case *pgproto3.ParameterDescription:
			b.WriteString("t ")
		case *pgproto3.NoData:
			b.WriteString("n ")
		case *pgproto3.DataRow:
			b.WriteString("D ")
		case *pgproto3.PortalSuspended:
			b.WriteString("s ")
		case *pgproto3.EmptyQueryResponse:
			b.WriteString("I ")
		case *pgproto3.NoticeResponse:
			b.WriteString("N ")
		case *pgproto3.CommandComplete:
			b.WriteString("C" + string(m.CommandTag) + " ")
		}
	}
}

func TestTheExtendedProtocolIsSpokenInFull(t *testing.T) {
	f := raw(t, open(t, &harbour{}, console.Stats))
	show := func(name, query string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: query} }
	for _, c := range []struct {
		what string
		send []pgproto3.FrontendMessage
		want string
	}{
		{"prepared and described", []pgproto3.FrontendMessage{
			show("s", "SHOW STATE"), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Bind{PreparedStatement: "s"},
			&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
		}, "1 t T 2 T D D CSHOW Z"},
		{"row by row, of a statement from before", []pgproto3.FrontendMessage{
			&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Flush{},
			&pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Close{ObjectType: 'P', Name: "p"}, &pgproto3.Sync{},
		}, "2 D s D CSHOW 3 Z"},
		{"portals end at Sync", []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{}}, "ERROR34000 Z"},
		{"what has no rows", []pgproto3.FrontendMessage{
			show("", "SET timezone = utc"), &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{},
			show("", "-- ping"), &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
		}, "1 2 n N CSET 1 2 n I Z"},
		{"an error skips to Sync", []pgproto3.FrontendMessage{
			show("x", "SHOW NOTHING"), &pgproto3.Bind{PreparedStatement: "x"}, &pgproto3.Execute{}, &pgproto3.Query{String: "SHOW STATE"}, &pgproto3.Sync{},
		}, "ERROR42601 Z"},
		{"a name twice", []pgproto3.FrontendMessage{show("s", "SHOW STATE"), &pgproto3.Sync{}}, "ERROR42P05 Z"},
		{"a name that is free again", []pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: "s"}, show("s", "SHOW STATE"), &pgproto3.Sync{}}, "3 1 Z"},
		{"an unknown name", []pgproto3.FrontendMessage{&pgproto3.Describe{ObjectType: 'S', Name: "y"}, &pgproto3.Sync{}}, "ERROR26000 Z"},
		{"parameters that nothing takes", []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{nil}}, &pgproto3.Sync{}}, "ERROR08P01 Z"},
		{"too many formats", []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{0, 1, 0}}, &pgproto3.Sync{}}, "ERROR08P01 Z"},
		{"an odd format", []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{7}}, &pgproto3.Sync{}}, "ERROR22023 Z"},
		{"late copy data", []pgproto3.FrontendMessage{&pgproto3.CopyData{}, &pgproto3.CopyDone{}, &pgproto3.Sync{}}, "Z"},
		{"simple", []pgproto3.FrontendMessage{&pgproto3.Query{String: "SHOW STATE"}}, "T D D CSHOW Z"},
		{"simple and empty", []pgproto3.FrontendMessage{&pgproto3.Query{String: ";"}}, "I Z"},
		{"a function call", []pgproto3.FrontendMessage{&pgproto3.FunctionCall{}}, "FATAL08P01 closed"},
	} {
		for _, m := range c.send {
			f.Send(m)
		}
		require.NoError(t, f.Flush())
		require.Equal(t, c.want, answers(t, f), c.what)
	}
}

func TestAMessageThatIsNoneEndsTheVisit(t *testing.T) {
	for what, bytes := range map[string][]byte{
		"a length below 4":  {'Q', 0, 0, 0, 3},
		"a length too long": {'Q', 0x7f, 0, 0, 0},
		"an unknown type":   {'?', 0, 0, 0, 4},
	} {
		d := open(t, &harbour{}, console.Stats)
		conn := enter(t, d, "pgbouncer").PgConn().Conn()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err := conn.Write(bytes)
		require.NoError(t, err)
		f := pgproto3.NewFrontend(conn, conn)
		require.Equal(t, "FATAL08P01 closed", answers(t, f), what)
	}
	f := raw(t, open(t, &harbour{}, console.Stats))
	require.NoError(t, f.SendUnbufferedEncodedCopyData([]byte{'Q', 0, 0, 0, 5, 'x'}), "no end of the string")
	require.Equal(t, "ERROR08P01 Z", answers(t, f))
}
