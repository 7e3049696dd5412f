package broker_test

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

// startupCases are settings as clients write them.
var startupCases = [][2]string{
	{"DateStyle", "ISO"}, // pgjdbc
	{"DateStyle", "iso, dmy"},
	{"DateStyle", "German"},
	{"DateStyle", "SQL,European"},
	{"DateStyle", "postgres, us"},
	{"DateStyle", "ymd"},
	{"DateStyle", ""},
	{"datestyle", "iso,default"},
	{"DateStyle", "nonsense"},
	{"DateStyle", "iso dmy"},
	{"TimeZone", "utc"},
	{"timezone", "Asia/Jakarta"},
	{"client_encoding", "utf-8"},
	{"client_encoding", "'utf8'"},
	{"client_encoding", "Latin1"},
	{"client_encoding", "iso_8859_15"},
	{"client_encoding", "win1252"},
	{"client_encoding", "SQL_ASCII"},
	{"client_encoding", "klingon"},
	{"IntervalStyle", "ISO_8601"},
	{"IntervalStyle", "sometimes"},
	{"standard_conforming_strings", "of"},
	{"standard_conforming_strings", "1"},
	{"standard_conforming_strings", "maybe"},
	{"default_transaction_read_only", "yes"},
	{"application_name", "Laporan Keuangan – é"},
	{"application_name", "tab\there"},
	{"application_name", `a'b"c\d; DROP TABLE accounts; --`},
}

// What a client is told about its own settings is what PostgreSQL tells it, and
// what PostgreSQL refuses is refused.
func TestSettingsAreToldAsPostgreSQLTellsThem(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	brokered := serve(t, w)
	direct := fmt.Sprintf("127.0.0.1:%d", pgtest.Server(t).Port())
	for _, c := range startupCases {
		there, here := fakepg.Dial(t, direct), fakepg.Dial(t, brokered)
		want := there.Login(0, "upstream", "user", up.role, "database", up.database, c[0], c[1])
		got := here.Login(0, "right", "user", "one", c[0], c[1])
		require.Equal(t, want == nil, got == nil, "%v: directly %v, through the broker %v", c, want, got)
		if want != nil {
			require.Equal(t, want.Code, got.Code, c)
			continue
		}
		require.Equal(t, there.Params, here.Params, c)
	}
}

// A value stays a value: it gets to the server whole, and is no SQL there.
func TestStartupSettingsReachTheServerAsValues(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	address := serve(t, w)
	for _, value := range []string{
		`plain`, `it's`, `"quoted"`, `a;b`, `back\slash`, "new\nline", `'; DROP TABLE accounts; --`, `$1`, `%s`,
	} {
		for _, name := range []string{"application_name", "search_path", "dermaga_test.custom"} {
			shown := value
			if name == "search_path" {
				shown = pgx.Identifier{value}.Sanitize()
			}
			if name == "application_name" && value == "new\nline" {
				continue // PostgreSQL changes that one: see above
			}
			c := fakepg.Dial(t, address)
			require.Nil(t, c.Login(0, "right", "user", "one", name, shown))
			rows, failure := c.Query("SHOW " + name)
			require.Nil(t, failure, "%s = %s", name, value)
			require.Equal(t, []string{shown}, rows, name)
		}
	}
	c := fakepg.Dial(t, address)
	require.Nil(t, c.Login(0, "right", "user", "one", "options", `-c search_path=\"a\ b\",\"c\;d\" --statement-timeout=1234ms`))
	rows, failure := c.Query("SELECT current_setting('search_path') || '|' || current_setting('statement_timeout')")
	require.Nil(t, failure)
	require.Equal(t, []string{`"a b","c;d"|1234ms`}, rows)
}

// Two tenants of one server may have different settings of their own: neither is
// told, nor given, the other's.
func TestTenantsOfOneServerKeepTheirOwnDefaults(t *testing.T) {
	jakarta, jayapura := realUpstream(t), realUpstream(t)
	admin(t, pgtest.URL(t), `ALTER DATABASE `+jakarta.database+` SET TimeZone = 'Asia/Jakarta'`)
	admin(t, pgtest.URL(t), `ALTER ROLE `+jayapura.role+` SET TimeZone = 'Asia/Jayapura'`)
	w := newTown()
	w.settle("jakarta", jakarta)
	w.settle("jayapura", jayapura)
	address := serve(t, w)
	for slug, zone := range map[string]string{"jakarta": "Asia/Jakarta", "jayapura": "Asia/Jayapura"} {
		c := fakepg.Dial(t, address)
		require.Nil(t, c.Login(0, "right", "user", slug))
		require.Equal(t, zone, c.Params["TimeZone"])
		rows, failure := c.Query("SHOW TimeZone")
		require.Nil(t, failure)
		require.Equal(t, []string{zone}, rows)
	}
}

func TestLoginsOwnSettingsYieldToTheClients(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	w.alter("one", "one", func(e *registry.Entry) {
		e.Login.Params = map[string]string{"TimeZone": "Asia/Jakarta", "statement_timeout": "7s"}
	})
	address := serve(t, w)
	both := "SELECT current_setting('TimeZone') || ' ' || current_setting('statement_timeout')"
	for _, c := range []struct {
		pairs []string
		want  string
	}{
		{nil, "Asia/Jakarta 7s"},
		{[]string{"timezone", "Asia/Makassar"}, "Asia/Makassar 7s"},
		{[]string{"options", "-c statement_timeout=9s"}, "Asia/Jakarta 9s"},
		{nil, "Asia/Jakarta 7s"},
	} {
		client := fakepg.Dial(t, address)
		require.Nil(t, client.Login(0, "right", append([]string{"user", "one"}, c.pairs...)...))
		rows, failure := client.Query(both)
		require.Nil(t, failure)
		require.Equal(t, []string{c.want}, rows)
	}
}

// connect is pgx through the broker.
func connect(t testing.TB, address, slug, login, password string, change ...func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	conn, err := tryConnect(t.Context(), address, slug, login, password, change...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func tryConnect(ctx context.Context, address, slug, login, password string, change ...func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(login, password), Host: address, Path: "/" + slug}
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, err
	}
	for _, f := range change {
		f(cfg)
	}
	return pgx.ConnectConfig(ctx, cfg)
}

func TestPgxReachesARealDatabase(t *testing.T) {
	up := realUpstream(t)
	w := newTown()
	w.settle("one", up)
	address := serve(t, w, withTLS(t))
	for _, mode := range []string{"disable", "require"} {
		for _, protocol := range []string{"3.0", "3.2"} {
			conn := connect(t, address, "one", "one", "right", func(c *pgx.ConnConfig) {
				if mode == "disable" {
					c.TLSConfig, c.Fallbacks = nil, nil
				}
				c.MaxProtocolVersion = protocol
			})
			var database string
			var number int
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_database(), $1::int + 1", 41).Scan(&database, &number))
			require.Equal(t, up.database+" 42", database+" "+strconv.Itoa(number))
		}
	}
}

func TestErrorOfARealServerIsPassedOn(t *testing.T) {
	up := realUpstream(t)
	up.database = "no_such_database"
	w := newTown()
	w.settle("one", up)
	_, err := tryConnect(t.Context(), serve(t, w), "one", "one", "right")
	var failure *pgconn.PgError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "3D000", failure.Code)
	require.Contains(t, failure.Detail, `The server said: database "no_such_database" does not exist`)
	require.NotContains(t, fmt.Sprint(err), "upstream")
}
