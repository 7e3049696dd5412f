package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/wire"
)

func TestClassifyTellsWhatATextMayLeaveBehind(t *testing.T) {
	for sql, want := range map[string]wire.Class{
		"":                                                             0,
		"select 1":                                                     0,
		"SELECT abalance FROM t WHERE aid = 17;":                       0,
		"update t set a = 1":                                           0,
		"insert into temp values (1)":                                  0,
		"select temp from weather":                                     0,
		"set timezone to 'utc'":                                        0,
		"SET Time Zone 'Asia/Jakarta'":                                 0,
		"set time zone default":                                        wire.Resets,
		"set session datestyle = iso":                                  0,
		"set names 'utf8'":                                             0,
		`set "TimeZone" = 'utc'`:                                       0,
		"set local search_path = x":                                    0,
		"set local seed = 0.1":                                         wire.Seeds,
		"set transaction read only":                                    0,
		"set standard_conforming_strings = off":                        wire.Quotes,
		"set constraints all deferred":                                 0,
		`set search_path to ""`:                                        wire.Sets,
		`""`:                                                           0,
		"set search_path = x":                                          wire.Sets,
		"set work_mem to default":                                      wire.Sets | wire.Resets,
		"SET SESSION statement_timeout = 1":                            wire.Sets,
		"set session characteristics as x":                             wire.Sets,
		"set session authorization x":                                  wire.Roles | wire.Frees,
		"set role x":                                                   wire.Roles | wire.Frees,
		"set nusa.company = '1'":                                       wire.Sets,
		"begin; set role x; commit":                                    wire.Roles | wire.Frees,
		"/* a /* b */ ; */ listen x":                                   wire.Listens,
		"-- listen x\nselect 1":                                        0,
		"select 'listen x; set_config()'":                              0,
		"select 'it''s', set_config('a','b',false)":                    wire.Sets,
		`select E'\'', set_config('a','b',false)`:                      wire.Sets,
		`select E'\' set_config(1)'`:                                   0,
		"select E'a'\n'\\' ', 1":                                       wire.Unknown,
		"select $$ set_config $$, 1":                                   0,
		"select $a$ $$ set_config $b$ $a$, 1":                          0,
		"select $1, set_config($1, $2, $3)":                            wire.Hides | wire.Blind,
		"select set_config($1, $2, true)":                              0,
		"select set_config('a.b', $1, true)":                           0,
		"select set_config('a.b', f('x, (', 1), 't')":                  0,
		"select set_config('a.b', $1, $2)":                             wire.Sets,
		"select set_config('TimeZone', $1, false)":                     0,
		"select set_config('role', $1, false)":                         wire.Roles | wire.Frees,
		"select set_config('a' || 'b', 'true', false)":                 wire.Hides | wire.Blind,
		"select set_config(E'a', 'b', true)":                           wire.Hides | wire.Blind,
		"select set_config":                                            wire.Hides | wire.Blind,
		`select "set_config"('a', 'b', false)`:                         wire.Sets,
		`select pg_catalog."set_config" /* ( */ ('a', 'b', 'f')`:       wire.Sets,
		`select U&"\0073et_config"('a')`:                               wire.Unknown,
		"select set_limit(0.1)":                                        wire.Sets,
		"update pg_settings set setting = '1'":                         wire.Hides,
		"update only pg_catalog.pg_settings set setting = 1":           wire.Hides,
		"select * from pg_settings":                                    0,
		"select query_to_xml('select 1', true, true, '')":              0,
		"select query_to_xml('listen x', true, true, '')":              wire.Listens,
		"select * from ts_stat($1)":                                    wire.Hides,
		"select * from crosstab('select set_config(''a'', 1, false)')": wire.Hides | wire.Blind,
		"select set_config('a.b'::text, 'x'::text, false)":             wire.Sets,
		"select a$b$c from t":                                          0,
		"prepare p as select 1":                                        wire.Prepares,
		"prepare transaction 'x'":                                      0,
		"execute p":                                                    wire.Executes,
		"explain analyze execute p(1)":                                 wire.Executes,
		"alter table t add b int":                                      wire.Defines,
		"select 1; drop type x":                                        wire.Defines | wire.Frees,
		"listen x":                                                     wire.Listens,
		"unlisten *":                                                   wire.Frees,
		"close all":                                                    wire.Frees,
		"declare c cursor for select 1":                                0,
		"declare c cursor with hold for select 1":                      wire.Holds,
		"declare c cursor without hold for table t":                    0,
		"create temp table x (a int)":                                  wire.Temps,
		"create or replace temporary view v as t":                      wire.Temps | wire.Defines,
		"explain analyze create temp table x as t":                     wire.Temps,
		"select 1 into temp x":                                         wire.Temps,
		"create table pg_temp.x (a int)":                               wire.Temps | wire.Defines,
		"select pg_advisory_lock(1)":                                   wire.Locks,
		"select pg_try_advisory_lock_shared(1)":                        wire.Locks,
		"select pg_advisory_xact_lock(1)":                              0,
		"select pg_advisory_unlock_all()":                              wire.Unlocks | wire.Frees,
		"do $$ begin end $$":                                           0,
		"do $$ begin -- ' $$; listen x":                                wire.Listens,
		"do $x$ begin if a then set role x; end if; end $x$ language plpgsql": wire.Roles | wire.Frees,
		"do $$ begin execute 'set role x'; end $$":                            wire.Defines | wire.Unknown,
		"do $$ begin perform set_config('a', 'b', false); end $$":             wire.Sets,
		"do 'begin set role x; end'":                                          wire.Roles | wire.Frees,
		"do language plperl $$ 1 $$":                                          wire.Defines | wire.Unknown,
		"call p()":                                                            0,
		"load 'x'":                                                            wire.Loads,
		"select setseed(0.5)":                                                 wire.Seeds,
		"select dblink_connect('x')":                                          wire.Opens,
		"select lastval()":                                                    wire.Sequences,
		"select currval('s')":                                                 wire.Sequences,
		"reset all":                                                           wire.Resets | wire.Frees,
		"deallocate x":                                                        wire.Deallocates | wire.Frees,
		"discard plans":                                                       wire.Resets | wire.Frees,
		"DISCARD ALL":                                                         wire.Resets | wire.Frees | wire.Deallocates,
		"discard all; set role x":                                             wire.Resets | wire.Frees | wire.Deallocates | wire.Roles,
		"select 1; discard all":                                               wire.Resets | wire.Frees | wire.Deallocates,
		"begin":                                                               wire.Begins,
		"start transaction read only; select 1":                               wire.Begins,
		"begin; select 1; commit":                                             0,
		"begin; rollback to s; select case when a then b end":                 wire.Begins,
		"begin; commit and chain":                                             wire.Begins,
		"begin; commit and no chain":                                          0,
		"end":                                                                 0,
		"create function f() returns int as 'select set_config' language sql":                        wire.Defines | wire.Hides | wire.Blind,
		"create function f() returns int language sql as $$ select set_config('a.b', '1', false) $$": wire.Defines | wire.Sets,
		"create view v as select set_config('a.b', '1', false)":                                      wire.Defines | wire.Sets,
		"create table t (a text default 'x')":                                                        wire.Defines,
	} {
		require.Equal(t, want, wire.Classify([]byte(sql), false), sql)
	}
	require.Equal(t, wire.Class(0), wire.Classify([]byte(`select '\' set_config('`), true))
	require.Equal(t, wire.Sets, wire.Classify([]byte(`select '\', set_config('a','b',false)`), false))
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{`""`, `set a to ""`, "select query_to_xml(", "do $$ $$", "select set_config('a',", "select 1", "set a = 'b'; $$", "/* /* */", `E'\`, `U&"`, "$a$ $a", `"`, "discard all"} {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, sql []byte, backslash bool) {
		whole := wire.Classify(sql, backslash)
		// A statement before it, ended by a semicolon, changes nothing.
		after := wire.Classify(append([]byte("select 1;"), sql...), backslash)
		require.Equal(t, whole, after)
		wire.Commands(sql, false, func(name string) (string, bool) { return name, true })
		wire.ClassifyRoutine(sql)
		wire.Words(sql, false, func([]byte) {})
		wire.SetNames(sql, false, func(string) {})
		wire.RoutineSetNames(sql, func(string) {})
	})
}

func BenchmarkClassify(b *testing.B) {
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;")
	for b.Loop() {
		if wire.Classify(sql, false) != 0 {
			b.Fatal("a plain select has no class")
		}
	}
}

func TestCommandsTellsWhatIsTakenAway(t *testing.T) {
	for sql, want := range map[string]struct {
		what wire.Command
		text string
	}{
		"deallocate PDO_1":                    {wire.Deallocate, `deallocate <pdo_1>`},
		`DEALLOCATE "PDO_1";`:                 {wire.Deallocate, `DEALLOCATE <PDO_1>;`},
		`DEALLOCATE "all"`:                    {wire.Deallocate, `DEALLOCATE <all>`},
		"deallocate prepare x\x00":            {wire.Deallocate, "deallocate prepare <x>\x00"},
		"deallocate prepare":                  {},
		"deallocate all":                      {wire.DeallocateAll, ""},
		"DEALLOCATE PREPARE ALL ;":            {wire.DeallocateAll, ""},
		"discard all":                         {wire.DiscardAll, ""},
		"Reset All":                           {wire.ResetAll, ""},
		"reset work_mem":                      {},
		"discard plans; select all 1":         {},
		"deallocate x; select 1;deallocate y": {wire.Deallocate, "deallocate <x>; select 1;deallocate <y>"},
		"deallocate keep":                     {wire.Deallocate, ""},
		"select 'deallocate x'":               {},
		"execute p; discard all; reset all":   {wire.DiscardAll | wire.ResetAll, ""},
		"":                                    {},
	} {
		what, text := wire.Commands([]byte(sql), false, func(name string) (string, bool) { return "<" + name + ">", name != "keep" })
		require.Equal(t, want.what, what, sql)
		require.Equal(t, want.text, string(text), sql)
	}
}

func TestSetNamesTellsWhatTheServerMustBeAskedFor(t *testing.T) {
	for sql, want := range map[string][]string{
		"set search_path = x":                             {"search_path"},
		"SET SESSION Statement_Timeout TO 1; select 1":    {"statement_timeout"},
		`set nusa.company = 1; SET "Nusa"."X" = 2`:        {"nusa.company", "Nusa.X"},
		"set schema 'x'":                                  {"search_path"},
		"set session characteristics as transaction x":    {"default_transaction_isolation", "default_transaction_deferrable", "default_transaction_read_only"},
		"set local x = 1; set role y; update t set z = 1": nil,
		"select set_config('app.x', 'y', false)":          {"app.x"},
		"select set_config('app.x', 'y', true)":           nil,
		"do $$ begin if a then set work_mem = 1; end if; perform set_config('app.x', 'y', false); end $$": {"work_mem", "app.x"},
		"select set_limit(0.2)":      {"pg_trgm.similarity_threshold"},
		"reset work_mem; reset all":  {"work_mem", ""},
		"select 1 /* ; set x = 1 */": nil,
	} {
		var got []string
		wire.SetNames([]byte(sql), false, func(name string) { got = append(got, name) })
		require.Equal(t, want, got, sql)
	}
}
