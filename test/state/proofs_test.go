package state_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

// What drivers and frameworks do all day keeps nobody's server.
func TestTwentyClientsShareOneServerAndPinNothing(t *testing.T) {
	r := relaytest.Start(t, relaytest.Options{})
	run := func(c *pgconn.PgConn, sql string) {
		_, err := c.Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err, sql)
	}
	run(r.Direct(), "create table account (id int primary key, balance int); insert into account select x, 0 from generate_series(0, 19) x")
	var all sync.WaitGroup
	clients := make([]*pgconn.PgConn, 20)
	for i := range clients {
		clients[i] = r.Client("application_name", fmt.Sprint("client ", i))
	}
	for i, c := range clients {
		all.Go(func() {
			id, ctx := fmt.Append(nil, i), t.Context()
			setting := fmt.Sprintf("%dMB", 10+i)
			run(c, "set work_mem = '"+setting+"'; set app.tenant = 'tenant "+string(id)+"'")
			_, err := c.Prepare(ctx, "add", "update account set balance = balance + 1 where id = $1", nil)
			require.NoError(t, err)
			_, err = c.Prepare(ctx, "look", "select current_setting('work_mem'), current_setting('app.tenant'), current_setting('application_name'), balance from account where id = $1", nil)
			require.NoError(t, err)
			for n := range 20 {
				run(c, "begin")
				require.NoError(t, c.ExecPrepared(ctx, "add", [][]byte{id}, nil, nil).Read().Err)
				run(c, "set local app.tenant = 'nobody'")
				run(c, "commit")
				res := c.ExecPrepared(ctx, "look", [][]byte{id}, nil, nil).Read()
				require.NoError(t, res.Err)
				require.Equal(t, fmt.Sprintf("%s|tenant %d|client %d|%d", setting, i, i, n+1), string(joined(res.Rows[0])))
			}
		})
	}
	all.Wait()
	require.Empty(t, r.Pins())
	require.Equal(t, 1, r.Pool().Servers)
	require.EqualValues(t, 1, r.Pool().ServersOpened)
}

func joined(row [][]byte) []byte {
	var all []string
	for _, v := range row {
		all = append(all, string(v))
	}
	return []byte(strings.Join(all, "|"))
}

// A plan is made under the settings of its time: the same text, prepared by two
// clients, means two things.
func TestAPreparedTextMeansWhatItsOwnClientsSettingsSay(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		mine, hers []string // startup parameters
		set        [2]string
		want       [2]string
	}{
		"date": {
			text: "select '01/02/2026'::date", mine: []string{"datestyle", "ISO, MDY"}, hers: []string{"datestyle", "ISO, DMY"},
			set: [2]string{"set datestyle to 'ISO, MDY'", "set datestyle to 'ISO, DMY'"}, want: [2]string{"2026-01-02", "2026-02-01"},
		},
		"time": {
			text: "select extract(hour from '2026-01-01 00:00+00'::timestamptz)", mine: []string{"timezone", "UTC"}, hers: []string{"timezone", "Asia/Jakarta"},
			set: [2]string{"set timezone to 'UTC'", "set timezone to 'Asia/Jakarta'"}, want: [2]string{"0", "7"},
		},
		"table": {
			text: "select x from named", mine: []string{"search_path", "one"}, hers: []string{"search_path", "two"},
			set: [2]string{"set search_path = one", "set search_path = two"}, want: [2]string{"mine", "hers"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := relaytest.Start(t, relaytest.Options{})
			_, err := r.Direct().Exec(t.Context(), `create schema one; create schema two;
create table one.named as select 'mine'::text as x; create table two.named as select 'hers'::text as x`).ReadAll()
			require.NoError(t, err)
			byStartup := [2]*pgconn.PgConn{r.Client(c.mine...), r.Client(c.hers...)}
			bySet := [2]*pgconn.PgConn{r.Client(), r.Client()}
			for i, x := range bySet {
				_, err := x.Exec(t.Context(), c.set[i]).ReadAll()
				require.NoError(t, err)
			}
			for round := range 3 {
				for _, pair := range [][2]*pgconn.PgConn{byStartup, bySet} {
					for i, x := range pair {
						if round == 0 {
							_, err := x.Prepare(t.Context(), "s", c.text, nil)
							require.NoError(t, err)
						}
						res := x.ExecPrepared(t.Context(), "s", nil, nil, nil).Read()
						require.NoError(t, res.Err)
						require.Equal(t, c.want[i], string(res.Rows[0][0]))
						res = x.ExecParams(t.Context(), c.text, nil, nil, nil, nil).Read()
						require.NoError(t, res.Err)
						require.Equal(t, c.want[i], string(res.Rows[0][0]), "the unnamed statement")
					}
				}
			}
			require.Empty(t, r.Pins())
			require.EqualValues(t, 1, r.Pool().ServersOpened)
		})
	}
}

// What a client's startup packet asks for is what RESET and DISCARD go back to.
func TestStartupParametersAreWhatResetGoesBackTo(t *testing.T) {
	startup := []string{"work_mem", "77MB", "search_path", "one, pg_catalog", "app.x", "it's \\ mine", "timezone", "Asia/Jakarta", "application_name", "a b"}
	look := "select current_setting('work_mem'), current_setting('search_path'), current_setting('app.x', true), current_setting('timezone'), current_setting('application_name')"
	url, _ := database(t)
	change := "set work_mem = '5MB'; set search_path = two; set app.x = 'other'; set timezone = 'UTC'; set application_name = 'c'"
	for _, mode := range []relay.Mode{relay.Auto, relay.Transaction, relay.Session} {
		for name, steps := range map[string][]step{
			"nothing":                   {},
			"changed":                   {one(change)},
			"RESET ALL":                 {one("reset all")},
			"DISCARD ALL":               {one("discard all")},
			"changed, RESET ALL":        {one(change), one("reset all")},
			"changed, DISCARD ALL":      {one(change), one("discard all")},
			"changed, RESET":            {one(change), one("reset work_mem"), one("reset search_path"), one("reset app.x"), one("reset timezone")},
			"changed, SET TO DEFAULT":   {one(change), one("set work_mem to default"), one("set search_path = default"), one("set timezone to default")},
			"changed, reset in a block": {one(change), one("begin"), one("reset all"), one("commit")},
			"changed, reset in vain":    {one(change), one("begin"), one("reset all"), one("rollback")},
			"RESET ALL in a function":   {one("do $$ begin reset all; end $$")},
			"set_config":                {one("select set_config('work_mem', '5MB', false)"), one("reset work_mem")},
		} {
			for _, extended := range []bool{false, true} {
				if extended && strings.Contains(name, "changed") {
					continue // several statements
				}
				t.Run(fmt.Sprintf("%s, %s, extended %t", mode, name, extended), func(t *testing.T) {
					size := 1
					if mode == relay.Session {
						size = 2
					}
					r := relaytest.Start(t, relaytest.Options{URL: url, PoolSize: size})
					direct, a, b := newActor(r.Direct(startup...), extended), newActor(r.ClientIn(mode, startup...), extended), newActor(r.ClientIn(mode), extended)
					fresh := newActor(r.Direct(), extended)
					clean := fresh.play(one(look))
					require.Equal(t, direct.play(steps...), a.play(steps...))
					want := direct.play(one(look))
					for range 2 {
						// A custom setting that is gone reads as '' instead of NULL.
						require.Equal(t, unset(clean), unset(b.play(one(look))))
						require.Equal(t, unset(want), unset(a.play(one(look))))
						require.Equal(t, direct.told(), a.told())
						require.Equal(t, fresh.told(), b.told())
					}
				})
			}
		}
	}
}

// unset has NULL and ” look alike.
func unset(lines []string) string { return strings.ReplaceAll(strings.Join(lines, "\n"), "NULL", "") }

// The published exceptions: what a client may see instead of what it left, and
// that even there it never sees another's.

func TestSequenceValuesAreMineOrNone(t *testing.T) {
	for _, mode := range []relay.Mode{relay.Auto, relay.Transaction} {
		t.Run(mode.String(), func(t *testing.T) {
			r := relaytest.Start(t, relaytest.Options{PoolSize: 2})
			_, err := r.Direct().Exec(t.Context(), "create sequence one minvalue 1 maxvalue 2 increment 9 cycle; create sequence two minvalue 2 maxvalue 3 increment 9 cycle").ReadAll()
			require.NoError(t, err)
			var told, refused int
			actors := []*actor{newActor(r.ClientIn(mode), false), newActor(r.ClientIn(mode), false), newActor(r.ClientIn(mode), true), newActor(r.ClientIn(mode), true)}
			for round := range 20 {
				for i, a := range actors {
					own := []string{"one", "two"}[i%2]
					if round%3 != 2 {
						a.play(one("select nextval('" + own + "')"))
					}
					for _, look := range []string{"select lastval()", "select currval('" + own + "')"} {
						switch got := a.play(one(look))[0]; got {
						case fmt.Sprintf("(%d) SELECT 1; I", i%2+1):
							told++
						case "error 55000 I":
							refused++
						default:
							t.Errorf("client %d: %s: %s", i, look, got)
						}
					}
				}
			}
			t.Logf("told %d times, refused %d times", told, refused)
			require.Positive(t, told+refused)
		})
	}
}

func TestACustomParameterThatIsGoneReadsAsEmptyOrNull(t *testing.T) {
	r := relaytest.Start(t, relaytest.Options{})
	a, b := newActor(r.Client(), false), newActor(r.Client(), false)
	require.Equal(t, []string{"SET; I"}, a.play(one("set app.x = 'mine'")))
	require.Equal(t, []string{"() SELECT 1; I"}, b.play(one("select current_setting('app.x', true)")), "another's is '' instead of NULL")
	require.Equal(t, []string{"(mine) SELECT 1; I"}, a.play(one("select current_setting('app.x', true)")))
}

func TestTheBackendsPidIsTheServersOfTheMoment(t *testing.T) {
	r := relaytest.Start(t, relaytest.Options{PoolSize: 2})
	a, b := newActor(r.Client(), false), newActor(r.Client(), false)
	pid := func(x *actor) string { return x.play(one("select pg_backend_pid()"))[0] }
	before := pid(a)
	require.Equal(t, before, pid(b), "both have had the same server")
	b.play(one("begin"))
	require.NotEqual(t, pid(a), pid(b))
	b.play(one("commit"))
}

// Where the operator wants state refused instead of wiped, no kind of it is made.
func TestRefusedStateIsNotMade(t *testing.T) {
	for _, k := range kinds {
		asSuper, url := database(t)
		run(t, asSuper, "grant all on schema public to public; "+k.objects)
		if k.super {
			url = asSuper
		}
		for _, mode := range []relay.Mode{relay.Transaction, relay.Statement} {
			t.Run(mode.String()+", "+k.name, func(t *testing.T) {
				r := relaytest.Start(t, relaytest.Options{URL: url, Target: func(t *relay.Target) { t.Refuse = true }})
				a, b, direct := newActor(r.ClientIn(mode), k.protocol), newActor(r.ClientIn(mode), k.protocol), newActor(r.Direct(), k.protocol)
				fresh := direct.play(k.eyes())
				made := a.play(k.acts())
				require.Equal(t, fresh, b.play(k.eyes()))
				if strings.Contains(made[0], "error") {
					require.Equal(t, []string{"error 0A000 I"}, made)
					require.Equal(t, fresh, a.play(k.eyes()), "and the connection lives")
				} else {
					direct.play(k.acts())
					require.Contains(t, [][]string{direct.play(k.eyes()), {k.loses}}, a.play(k.eyes()), "carried")
				}
			})
		}
	}
}

// Where a backslash escapes, a quote behind one ends no string: a relay that reads
// the text otherwise overlooks what stands behind.
func TestTextsWithBackslashesAreReadAsTheServerReadsThem(t *testing.T) {
	const hides = `select '\'', set_config('work_mem', '77MB', false), '\''`
	url, _ := database(t)
	look := one("select current_setting('work_mem'), current_setting('lock_timeout'), current_setting('standard_conforming_strings')")
	for _, mode := range []relay.Mode{relay.Auto, relay.Transaction} {
		for name, c := range map[string]struct {
			startup []string
			steps   []step
		}{
			"after SET":            {nil, []step{one("set standard_conforming_strings = off"), one(hides)}},
			"by a startup packet":  {[]string{"standard_conforming_strings", "off"}, []step{one(hides)}},
			"for one transaction":  {nil, []step{one("begin"), one("set local standard_conforming_strings = off"), one(hides), one("commit")}},
			"in a block's SET":     {nil, []step{one("begin"), one("set standard_conforming_strings = off"), one(hides), one("commit")}},
			"in an escaped string": {nil, []step{one(`select E'\'', set_config('work_mem', '77MB', false), E'\''`)}},
		} {
			for _, extended := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, extended %t", mode, name, extended), func(t *testing.T) {
					r := relaytest.Start(t, relaytest.Options{URL: url})
					direct, a, b, fresh := newActor(r.Direct(c.startup...), extended), newActor(r.ClientIn(mode, c.startup...), extended), newActor(r.ClientIn(mode), extended), newActor(r.Direct(), extended)
					require.Equal(t, direct.play(c.steps...), a.play(c.steps...))
					want, clean := direct.play(look), fresh.play(look)
					for range 2 {
						require.Equal(t, clean, b.play(look))
						require.Equal(t, want, a.play(look))
					}
				})
			}
		}
	}
}
