package state_test

import "strings"

// hidden are the ways that the text of a query does not show: something that
// stands in the database, or in a string, does it.
var hidden = append([]way{
	byRoutine("a function", "", "select f()"),
	byRoutine("a function in a transaction that is rolled back", "", "begin", "select f()", "rollback"),
	byRoutine("a function in a query that fails", "", "select 1 / (length(f()) - 1)"),
	byRoutine("a function within another", "create function g() returns text language plpgsql as $$ begin return f(); end $$", "select g()"),
	byRoutine("a function in SQL's own body", "create function g() returns text language sql begin atomic select f(); end", "select g()"),
	byRoutine("a function's default argument", "create function g(x text default f()) returns text language sql as 'select x'", "select g()"),
	unreadable("an aggregate", "create function g(text, text) returns text language plpgsql as $$ begin return f(); end $$; create aggregate a (text) (sfunc = g, stype = text, initcond = '')", "select a('x')"),
	byRoutine("a procedure", "create procedure p() language plpgsql as $$ begin perform f(); end $$", "call p()"),
	byRoutine("a procedure that commits", "create procedure p() language plpgsql as $$ begin perform f(); commit; perform 1/0; end $$", "call p()"),
	byRoutine("a procedure that rolls back", "create procedure p() language plpgsql as $$ begin perform f(); rollback; end $$", "call p()"),
	byRoutine("a function that is named in capitals", `create function "Odd Name"() returns text language plpgsql as $$ begin return f(); end $$`, `select "Odd Name"()`),
	unreadable("a function that is named in escapes", "", `select U&"\0066"()`),
	unreadable("a function whose name is in a string", "", "select query_to_xml('select f()', true, true, '')"),
	byRoutine("a view", "create view v as select f(); grant all on v to public", "select * from v"),
	byRoutine("a view whose name is in a string", "create view v as select f() as x; grant all on v to public", "select table_to_xml('v', true, true, '')"),
	byRoutine("a trigger", trigger, "insert into t values ('x')"),
	byRoutine("a trigger, by COPY", trigger, "copy t from stdin"),
	byRoutine("a rule", "create table t (x text); create rule r as on insert to t do also select f(); grant all on t to public", "insert into t values ('x')"),
	byRoutine("a default", "create table t (x text default f()); grant all on t to public", "insert into t default values"),
	byRoutine("a check", "create table t (x text check (f() = 'x')); grant all on t to public", "insert into t values ('x')"),
	byRoutine("a domain", "create domain d as text check (f() = 'x')", "select 'x'::d"),
	byRoutine("a policy", "create table t (x text); create policy p on t using (f() = 'x'); insert into t values ('x'); alter table t enable row level security, force row level security; grant all on t to public", "select * from t"),
	byRoutine("an index", "create table t (x text); grant all on t to public; create function g(text) returns text immutable language plpgsql as $$ begin return f(); end $$; create index on t (g(x))", "insert into t values ('x')"),
	byRoutine("an operator", "create function g(text, text) returns text language plpgsql as $$ begin return f(); end $$; create operator === (function = g, leftarg = text, rightarg = text)", "select 'x' === 'y'"),
	byRoutine("a cast", "create type pair as (x int, y int); create function g(pair) returns text language plpgsql as $$ begin return f(); end $$; create cast (pair as text) with function g(pair)", "select row(1, 2)::pair::text"),
	byRoutine("EXPLAIN ANALYZE of a function", "", "explain (analyze, costs off, timing off, summary off) select f()"),
	byRoutine("EXECUTE of a function", "", "prepare p as select f()", "execute p", "deallocate p"),
	byRoutine("COPY of a function", "", "copy (select f()) to stdout"),
	byRoutine("a cursor over a function", "", "begin", "declare c cursor for select f()", "fetch c", "commit"),
	byBuiltin("a built-in's view", "create view v as select (EXPR)::text; grant all on v to public", "select * from v"),
	byBuiltin("a built-in's default", "create table t (x text default (EXPR)::text); grant all on t to public", "insert into t default values"),
	byBuiltin("a built-in's check", "create table t (x text check ((EXPR)::text is not null)); grant all on t to public", "insert into t values ('x')"),
	byBuiltin("a built-in's policy", "create table t (x text); create policy p on t using ((EXPR)::text is not null); insert into t values ('x'); alter table t enable row level security, force row level security; grant all on t to public", "select * from t"),
	byBuiltin("a built-in's rule", "create table t (x text); create rule r as on insert to t do also select EXPR; grant all on t to public", "insert into t values ('x')"),
	byBuiltin("a built-in's domain", "create domain d as text check ((EXPR)::text is not null)", "select 'x'::d"),
	byBuiltin("a built-in in SQL's own body", "create function g() returns text language sql begin atomic select (EXPR)::text; end", "select g()"),
	byBuiltin("a built-in in a string", "", "select query_to_xml('select QUOTED', true, true, '')"),
	byBuiltin("a built-in in another string", "", "select count(*) from ts_stat('select (QUOTED)::text::tsvector')"),
	{"a built-in that is named in escapes", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{hides: true, steps: []step{one(`select U&"!` + hex4(k.fn[0]) + k.fn[1:] + `" UESCAPE '!'` + strings.TrimPrefix(k.expr, k.fn))}}
	}},
	{"a built-in that is quoted", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{steps: []step{one(`select pg_catalog . "` + k.fn + `" /* ' */ ` + strings.TrimPrefix(k.expr, k.fn))}}
	}},
	{"FunctionCall", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{steps: []step{{{call: "pg_catalog." + k.fn + "(" + strings.Join(k.types(), ",") + ")", args: k.args}}}}
	}},
	{"FunctionCall of a function", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{objects: k.function("f"), steps: []step{{{call: "public.f()"}}}}
	}},
	{"an event trigger", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{
			objects: ownSchema + "; " + k.function("f") + `; create function e() returns event_trigger language plpgsql as $$ begin perform f(); end $$;
create event trigger e on ddl_command_end when tag in ('COMMENT') execute function e(); create table own.t (); alter table own.t owner to other`,
			steps: []step{one("comment on table own.t is 'x'")},
		}
	}},
	{"UPDATE of pg_settings", func(k kind) plan {
		if k.fn != "set_config" || k.args[0] == "role" || k.args[0] == "session_authorization" || k.args[0] == "seed" || strings.Contains(k.args[0], ".") {
			return impossible("pg_settings does not show it")
		}
		return plan{steps: []step{one("update pg_settings set setting = '" + k.args[1] + "' where name ilike '" + k.args[0] + "'")}}
	}},
}, defined...)

// defined are the ways that exist only since a client made them through the
// relay.
var defined = []way{
	{"a function that was just made", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{fresh: true, objects: ownSchema, steps: []step{one(k.function("own.f")), one("select own.f()")}}
	}},
	{"a function that was just replaced", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{
			fresh:   true,
			objects: ownSchema + "; create function own.f() returns text language plpgsql as $$ begin return 'x'; end $$; alter function own.f() owner to other",
			steps:   []step{one(strings.Replace(k.function("own.f"), "create", "create or replace", 1)), one("select own.f()")},
		}
	}},
	{"a function that was just renamed", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{fresh: true, objects: ownSchema + "; " + k.function("own.f") + "; alter function own.f() owner to other", steps: []step{one("alter function own.f() rename to innocent"), one("select own.innocent()")}}
	}},
	{"a view that was just made", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{fresh: true, objects: ownSchema, steps: []step{one("create view own.v as select (" + k.expr + ")::text"), one("select * from own.v")}}
	}},
}

const (
	ownSchema = "create schema own; grant all on schema own to public"
	trigger   = "create table t (x text); grant all on t to public; create function tf() returns trigger language plpgsql as $$ begin perform f(); return new; end $$; create trigger g before insert on t for each row execute function tf()"
)

// function is a routine that makes k.
func (k kind) function(name string) string {
	return "create function " + name + "() returns text language plpgsql as $f$ begin " + k.code() + " return 'x'; end $f$"
}

// byRoutine makes the state in the function f of the database, which the objects
// and the texts call.
func byRoutine(name, objects string, texts ...string) way {
	return way{name, func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		if k.super && strings.Contains(objects, "policy") {
			return impossible(noPolicy)
		}
		p := plan{objects: k.function("f") + "; " + objects}
		for _, text := range texts {
			s := one(text)
			if strings.Contains(text, "from stdin") {
				s[0].copy = "x\n"
			}
			if strings.Contains(text+objects, "1/0") || strings.Contains(text, "1 / ") {
				p.fails = "22012"
			}
			p.block = p.block || text == "begin"
			p.steps = append(p.steps, s)
		}
		return p
	}}
}

// unreadable is byRoutine where no text that can be read names f.
func unreadable(name, objects string, texts ...string) way {
	w := byRoutine(name, objects, texts...)
	return way{name, func(k kind) plan {
		p := w.plan(k)
		p.hides = true
		return p
	}}
}

// byBuiltin makes it by a built-in function, which stands in the objects or the
// text as EXPR or, within a string, as QUOTED.
func byBuiltin(name, objects, text string) way {
	return way{name, func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		if k.super && strings.Contains(objects, "policy") {
			return impossible(noPolicy)
		}
		fill := strings.NewReplacer("EXPR", k.expr, "QUOTED", strings.ReplaceAll(k.expr, "'", "''"))
		return plan{objects: fill.Replace(objects), steps: []step{one(fill.Replace(text))}}
	}}
}

// hex4 are the digits of an escape in a U& identifier.
func hex4(c byte) string {
	const digits = "0123456789abcdef"
	return "00" + string(digits[c>>4]) + string(digits[c&15])
}
