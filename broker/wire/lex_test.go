package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/wire"
)

func TestClassifyTellsWhatATextMayLeaveBehind(t *testing.T) {
	for sql, want := range map[string]wire.Class{
		"":                                          0,
		"select 1":                                  0,
		"SELECT abalance FROM t WHERE aid = 17;":    0,
		"update t set a = 1":                        0,
		"insert into temp values (1)":               wire.Sticks, // a table of that name: rather once too often
		"select temp from weather":                  0,
		"set timezone to 'utc'":                     0,
		"SET Time Zone 'Asia/Jakarta'":              0,
		"set session datestyle = iso":               0,
		"set names 'utf8'":                          0,
		`set "TimeZone" = 'utc'`:                    0,
		"set local search_path = x":                 0,
		"set transaction read only":                 0,
		"set constraints all deferred":              0,
		"set search_path = x":                       wire.Sets,
		"SET SESSION statement_timeout = 1":         wire.Sets,
		"set session characteristics as x":          wire.Sets,
		"set session authorization x":               wire.Sticks,
		"set role x":                                wire.Sticks,
		"set nusa.company = '1'":                    wire.Sets,
		"begin; set role x; commit":                 wire.Sticks,
		"/* a /* b */ ; */ set role x":              wire.Sticks,
		"-- set role x\nselect 1":                   0,
		"select 'set role x; set_config()'":         0,
		"select 'it''s', set_config('a','b',false)": wire.Sticks,
		`select E'\'', set_config('a','b',false)`:   wire.Sticks,
		`select E'\' set_config(1)'`:                0,
		"select E'a'\n'\\' ', 1":                    wire.Sticks,
		"select $$ set_config $$, 1":                0,
		"select $a$ $$ set_config $b$ $a$, 1":       0,
		"select $1, set_config($1, $2, $3)":         wire.Sticks,
		`select "set_config"('a', 'b', false)`:      wire.Sticks,
		`select pg_catalog."set_config"('a')`:       wire.Sticks,
		`select U&"\0073et_config"('a')`:            wire.Sticks,
		"select a$b$c from t":                       0,
		"prepare p as select 1":                     wire.Sticks,
		"prepare transaction 'x'":                   0,
		"alter table t add b int":                   wire.Defines,
		"select 1; drop type x":                     wire.Defines,
		"listen x":                                  wire.Sticks,
		"unlisten *":                                0,
		"declare c cursor for select 1":             0,
		"declare c cursor with hold for select 1":   wire.Sticks,
		"declare c cursor without hold for table t": 0,
		"create temp table x (a int)":               wire.Sticks,
		"create or replace temporary view v as t":   wire.Sticks | wire.Defines,
		"select 1 into temp x":                      wire.Sticks,
		"create table pg_temp.x (a int)":            wire.Sticks | wire.Defines,
		"select pg_advisory_lock(1)":                wire.Sticks,
		"select pg_try_advisory_lock_shared(1)":     wire.Sticks,
		"select pg_advisory_xact_lock(1)":           0,
		"select pg_advisory_unlock_all()":           0,
		"do $$ begin end $$":                        wire.Sticks | wire.Defines,
		"call p()":                                  wire.Sticks | wire.Defines,
		"load 'x'":                                  wire.Sticks | wire.Taints,
		"select setseed(0.5)":                       wire.Sticks | wire.Taints,
		"select dblink_connect('x')":                wire.Sticks | wire.Taints,
		"select lastval()":                          wire.Sequences,
		"select currval('s')":                       wire.Sequences,
		"reset all":                                 wire.Resets,
		"deallocate x":                              wire.Deallocates,
		"discard plans":                             wire.Resets,
		"DISCARD ALL":                               wire.Resets | wire.Deallocates,
		"discard all;":                              wire.Resets | wire.Deallocates,
		"discard all; set role x":                   wire.Resets | wire.Sticks | wire.Deallocates,
		"select 1; discard all":                     wire.Resets | wire.Deallocates,
		"create function f() returns int as 'select set_config' language sql": wire.Defines,
	} {
		require.Equal(t, want, wire.Classify([]byte(sql), false), sql)
	}
	require.Equal(t, wire.Class(0), wire.Classify([]byte(`select '\' set_config('`), true))
	require.Equal(t, wire.Sticks, wire.Classify([]byte(`select '\', set_config('a','b',false)`), false))
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"select 1", "set a = 'b'; $$", "/* /* */", `E'\`, `U&"`, "$a$ $a", `"`, "discard all"} {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, sql []byte, backslash bool) {
		whole := wire.Classify(sql, backslash)
		// A statement before it, ended by a semicolon, changes nothing.
		after := wire.Classify(append([]byte("select 1;"), sql...), backslash)
		require.Equal(t, whole, after)
		wire.Deallocated(sql)
		wire.SetNames(sql, func(string) {})
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

func TestDeallocatedTellsWhichStatementIsFreed(t *testing.T) {
	type freed struct {
		name         string
		all, discard bool
	}
	for sql, want := range map[string]freed{
		"deallocate PDO_1":           {name: "pdo_1"},
		`DEALLOCATE "PDO_1";`:        {name: "PDO_1"},
		"deallocate prepare x\x00":   {name: "x"},
		"deallocate all":             {all: true},
		"DEALLOCATE PREPARE ALL ;":   {all: true},
		"discard all":                {all: true, discard: true},
		"discard plans":              {},
		"deallocate x; deallocate y": {},
		"select 1":                   {},
		"select 1; discard all":      {},
		"discard all; select 1":      {},
		"":                           {},
	} {
		name, all, discard := wire.Deallocated([]byte(sql))
		require.Equal(t, want, freed{name, all, discard}, sql)
	}
}

func TestSetNamesTellsWhatTheServerMustBeAskedFor(t *testing.T) {
	for sql, want := range map[string][]string{
		"set search_path = x":                             {"search_path"},
		"SET SESSION Statement_Timeout TO 1; select 1":    {"statement_timeout"},
		`set nusa.company = 1; SET "Nusa"."X" = 2`:        {"nusa.company", "Nusa.X"},
		"set schema 'x'":                                  {"search_path"},
		"set session characteristics as transaction x":    {"default_transaction_isolation", "default_transaction_deferrable"},
		"set local x = 1; set role y; update t set z = 1": nil,
		"reset work_mem; reset all":                       {"work_mem", ""},
		"select 1 /* ; set x = 1 */":                      nil,
	} {
		var got []string
		wire.SetNames([]byte(sql), func(name string) { got = append(got, name) })
		require.Equal(t, want, got, sql)
	}
}
