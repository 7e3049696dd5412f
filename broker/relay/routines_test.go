package relay_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// Each of these makes session state in a way that the client's text does not
// show. The database has it before the pool's first server opens.
func TestStateMadeInsideRoutinesStaysWithItsClient(t *testing.T) {
	const leaky = "create function leaky() returns void language plpgsql as $$ begin perform set_config('nusa.x', 'secret', false); end $$;"
	for name, c := range map[string]struct{ before, make string }{
		"function":             {leaky, "select leaky()"},
		"quoted":               {`create function "Leaky"() returns text language sql as $$ select set_config('nusa.x', 'secret', false) $$`, `select "Leaky"()`},
		"function in function": {leaky + "create function outer_() returns void language sql as 'select leaky()'", "select outer_()"},
		"sql body":             {"create function leaky() returns text language sql begin atomic select set_config('nusa.x', 'secret', false); end", "select leaky()"},
		"dynamic":              {"create function dyn() returns void language plpgsql as $$ begin execute 'set nusa.x = ''secret'''; end $$", "select dyn()"},
		"plain set":            {"create function s() returns void language plpgsql as $$ begin set nusa.x = 'secret'; end $$", "select s()"},
		"in if":                {"create function s() returns void language plpgsql as $$ begin if true then set nusa.x = 'secret'; end if; end $$", "select s()"},
		"trigger": {
			leaky + "create table t (a int); create function tr() returns trigger language plpgsql as $$ begin perform leaky(); return new; end $$;" +
				"create trigger tr before insert on t for each row execute function tr()", "insert into t values (1)",
		},
		"default": {"create function d() returns text language sql as $$ select set_config('nusa.x', 'secret', false) $$; create table t (a int, b text default d())", "insert into t values (1)"},
		"view":    {"create function d() returns text language sql as $$ select set_config('nusa.x', 'secret', false) $$; create view v as select d() as x", "select * from v"},
		"explain": {leaky, "explain analyze select leaky()"},
		"copy":    {leaky, "copy (select leaky()) to stdout"},
		"execute": {leaky, "prepare p as select leaky(); execute p"},
		"failing": {leaky, "select leaky(); commit; select 1/0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			direct, err := pgconn.Connect(context.Background(), r.url)
			require.NoError(t, err)
			one(t, direct, c.before)
			require.NoError(t, direct.Close(context.Background()))

			const see = "select coalesce(current_setting('nusa.x', true), '')"
			mine := r.seat()
			a := mine.driver(t)
			if _, err := try(a, c.make); name != "failing" {
				require.NoError(t, err)
			}
			require.Equal(t, "secret", one(t, a, see), "its own")
			require.NoError(t, a.Close(context.Background()))
			require.Empty(t, one(t, r.client(), see), "the next client's")
		})
	}
}

func TestHarmlessRoutinesKeepNoServer(t *testing.T) {
	r := newRig(t, 1)
	direct, err := pgconn.Connect(context.Background(), r.url)
	require.NoError(t, err)
	one(t, direct, `create extension pgcrypto; create table t (a int);
		create function f(x int) returns int language sql as 'select x + 1';
		create function g() returns trigger language plpgsql as $$ begin update t set a = a; if new.a > 0 then new.a := f(new.a); end if; return new; end $$;
		create trigger g before insert on t for each row execute function g()`)
	require.NoError(t, direct.Close(context.Background()))
	a := r.client()
	one(t, a, "insert into t values (1)")
	require.Equal(t, "2", one(t, a, "select f(1)"))
	require.NotEmpty(t, one(t, a, "select crypt('x', gen_salt('md5'))"))
	require.Zero(t, r.stats().Active)
}
