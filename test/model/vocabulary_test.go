package model_test

import (
	"fmt"
	"maps"
	"slices"
)

// text is SQL that a client may send. {c} in it is the client's letter.
type text struct {
	sql    string
	params []string // values for $1; nil: it has none
	pins   bool     // the broker may keep the client's server for what it leaves
	simply bool     // only for a Query
}

// theme is a subject of texts. A sequence draws the themes that it speaks of, so
// that some are about little and go deep.
type theme []text

// objects is what the texts need, the same in both databases.
const objects = `
CREATE SCHEMA other;
CREATE FUNCTION keep(text, text) RETURNS text LANGUAGE sql AS 'SELECT set_config($1, $2, false)';
CREATE FUNCTION remember(text) RETURNS text LANGUAGE sql AS 'SELECT set_config(''work_mem'', $1, false)';
CREATE FUNCTION quiet(text, text) RETURNS text LANGUAGE plpgsql AS
 $$ BEGIN EXECUTE format('SET %I = %L', $1, $2); RAISE NOTICE 'set %', $1; RETURN current_setting($1); END $$;
CREATE FUNCTION bound() RETURNS text LANGUAGE sql SET work_mem = '3MB' AS 'SELECT current_setting(''work_mem'')';
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN PERFORM set_config('work_mem', NEW.x || 'MB', false); RETURN NEW; END $$;
CREATE PROCEDURE proceed(text) LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('work_mem', $1, false); COMMIT; END $$;
`

// belongings is what each client has for itself.
const belongings = `
CREATE TABLE t_{c} (x int, y text);
CREATE TABLE other.t_{c} (y text, x int);
CREATE TABLE marked_{c} (x int);
GRANT ALL ON t_{c}, other.t_{c}, marked_{c} TO model_guest;
`

// hooks are what makes any write change settings. They are there only where a
// sequence speaks of such things, since the broker trusts no write where they are.
const hooks = `CREATE TRIGGER mark BEFORE INSERT ON marked_{c} FOR EACH ROW EXECUTE FUNCTION mark()`

// tidy empties them, when the client has written.
const tidy = `DELETE FROM public.t_{c}; DELETE FROM other.t_{c}; DELETE FROM public.marked_{c}`

// probe shows the state that the texts below can make. It stands at the end of each
// client's sequence, before and after that client discards all. Statements that
// were prepared in the protocol have the broker's names there, and are left out.
const probe = `SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('IntervalStyle'),
 current_setting('application_name'), current_setting('work_mem'), current_setting('bytea_output'), current_setting('extra_float_digits'),
 current_setting('search_path'), current_setting('standard_conforming_strings'), current_setting('client_min_messages'),
 current_setting('lock_timeout'), current_setting('default_transaction_read_only'), current_setting('default_transaction_isolation'),
 coalesce(current_setting('nusa.x', true), ''), current_user, session_user,
 (SELECT pg_catalog.string_agg(name || statement, ' ' ORDER BY name) FROM pg_catalog.pg_prepared_statements WHERE from_sql),
 (SELECT pg_catalog.string_agg(name, ' ' ORDER BY name) FROM pg_catalog.pg_cursors WHERE name <> ''),
 (SELECT pg_catalog.string_agg(c, ' ' ORDER BY c) FROM pg_catalog.pg_listening_channels() c),
 (SELECT pg_catalog.string_agg(relname, ' ' ORDER BY relname) FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()),
 (SELECT pg_catalog.string_agg(objid::text, ' ' ORDER BY objid) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())`

var plain = theme{
	{sql: "select 1"},
	{sql: ""},
	{sql: "select generate_series(1, 5)"},
	{sql: "select 'A', 1.5::float8 / 3, null"},
	{sql: "select '01/02/2026'::date"},
	{sql: "select timestamptz '2026-01-02 03:04:05+00', interval '1 day 02:03'"},
	{sql: `select '\x00ff'::bytea, 'a\\b'`},
	{sql: "select x, y from t_{c} order by x"},
	{sql: "show search_path"},
	{sql: "show work_mem"},
	{sql: "select coalesce(current_setting('nusa.x', true), '')"},
	{sql: "values (1), (2), (3)"},
	{sql: "select $1::int + 1", params: []string{"1", "41", "x"}},
	{sql: "select $1::text", params: []string{"", "it's"}},
	{sql: "select 6 / $1::int", params: []string{"0", "2"}},
	{sql: "select $1::date", params: []string{"01/02/2026", "31/12/2026"}},
	{sql: "select repeat('x', 20000)"},
}

var failing = theme{
	{sql: "select 1/0"},
	{sql: "selec"},
	{sql: "select * from nowhere"},
	{sql: "set nonsense = 1"},
	{sql: "set work_mem = 'much'"},
	{sql: "select 1; select 1/0; select 2"},
	{sql: "do $$ begin raise exception 'no' using errcode = '45000', hint = 'yes'; end $$"},
	{sql: "set work_mem = '9MB'; select 1/0"},
	{sql: "set work_mem = '9MB'; commit; select 1/0"},
	{sql: "create table t_{c} ()"},
}

var transactions = theme{
	{sql: "begin"},
	{sql: "begin"},
	{sql: "commit"},
	{sql: "commit"},
	{sql: "rollback"},
	{sql: "end"},
	{sql: "abort"},
	{sql: "start transaction isolation level serializable, read only"},
	{sql: "set transaction isolation level repeatable read"},
	{sql: "show transaction_isolation"},
	{sql: "commit and chain"},
	{sql: "rollback and chain"},
	{sql: "savepoint a"},
	{sql: "savepoint b"},
	{sql: "rollback to a"},
	{sql: "rollback to savepoint b"},
	{sql: "release a"},
	{sql: "set work_mem = '7MB'"},
	{sql: "set work_mem = '7MB'"},
	{sql: "show work_mem"},
	{sql: "show work_mem"},
	{sql: "rollback to a"},
	{sql: "savepoint a; set work_mem = '10MB'"},
	{sql: "prepare transaction 'x'"},
	{sql: "begin; set work_mem = '6MB'; savepoint a"},
	{sql: "begin; set work_mem = '6MB'; rollback"},
	{sql: "begin; select 1; commit"},
}

var writing = theme{
	{sql: "insert into t_{c} values (1, 'one')"},
	{sql: "insert into t_{c} (x) values ($1)", params: []string{"2", "x"}},
	{sql: "update t_{c} set x = x + 1 returning x"},
	{sql: "delete from t_{c}"},
	{sql: "select count(*) from t_{c}"},
	{sql: "copy t_{c} (x) from stdin"},
	{sql: "copy t_{c} to stdout"},
	{sql: "copy (select generate_series(1, 3)) to stdout"},
	{sql: "insert into marked_{c} values (7)"},
	{sql: "truncate t_{c}"},
}

// settings are those that texts set, with values as clients write them.
var settings = map[string][]string{
	"timezone":                      {"'asia/jakarta'", "'utc'", "default"},
	"datestyle":                     {"german", "'sql, dmy'", "iso"},
	"intervalstyle":                 {"iso_8601", "postgres"},
	"application_name":              {"'one'", "'it''s'"},
	"work_mem":                      {"'5MB'", "77000", "default"},
	"bytea_output":                  {"escape", "hex"},
	"extra_float_digits":            {"0", "3"},
	"search_path":                   {"other, public", "''", "default", `"$user", other`},
	"standard_conforming_strings":   {"off", "on"},
	"client_min_messages":           {"warning", "error", "debug1"},
	"lock_timeout":                  {"'1min'", "0"},
	"default_transaction_read_only": {"on", "off"},
	"nusa.x":                        {"'1'", "''", "default"},
}

// plainly is every way to set those plainly.
var plainly = func() (list theme) {
	add := func(format string, args ...any) { list = append(list, text{sql: fmt.Sprintf(format, args...)}) }
	for name, values := range settings {
		for _, v := range values {
			add("set %s = %s", name, v)
			add("set %s to %s", name, v)
			add("set local %s to %s", name, v)
		}
		add("reset %s", name)
		if name != "nusa.x" {
			add("show %s", name)
			add("show %s", name)
		}
	}
	for _, sql := range []string{
		"reset all", "reset all", "discard all", "set session work_mem = '4MB'", "set time zone 'Asia/Jakarta'", "set time zone local",
		"set schema 'other'", "set names 'utf8'", "set session characteristics as transaction isolation level serializable",
		"set session characteristics as transaction read only", "set session characteristics as transaction read write",
		"show default_transaction_isolation", "set work_mem from current",
		"set work_mem = '5MB'; set datestyle = german; reset work_mem", "begin; set local work_mem = '8MB'; commit",
		"begin; set work_mem = '8MB'; commit and chain; set work_mem = '9MB'",
		"begin; set work_mem = '8MB'; savepoint a; set work_mem = '9MB'; rollback to a; commit",
	} {
		add("%s", sql)
	}
	slices.SortFunc(list, func(a, b text) int { // maps have no order, and seeds must mean the same
		switch {
		case a.sql < b.sql:
			return -1
		case a.sql > b.sql:
			return 1
		}
		return 0
	})
	return list
}()

// hidden is settings changed where the text does not say SET. Where it does not even
// say which, that pins, since only who knows a custom setting's name can ask for it.
var hidden = theme{
	{sql: "select set_config('work_mem', '11MB', false)"},
	{sql: "select set_config('work_mem', '12MB', true)"},
	{sql: "select set_config('nusa.x', '3', false)"},
	{sql: "select set_config('datestyle', 'german', false)"},
	{sql: "select set_config($1, '1', false)", params: []string{"nusa.x", "application_name", "no.such.thing"}, pins: true},
	{sql: "select set_config('work_mem', '13MB', $1::bool)", params: []string{"true", "false"}},
	{sql: "select keep('work_mem', '14MB')", pins: true},
	{sql: "select keep('nusa.x', '2')", pins: true},
	{sql: "select quiet('search_path', 'other')", pins: true, simply: true},
	{sql: "select quiet('timezone', 'asia/jakarta')", pins: true},
	{sql: "select remember('24MB')"},
	{sql: "select remember('25MB'), remember('much')"},
	{sql: "select bound()"},
	{sql: "call proceed('15MB')"},
	{sql: "do $$ begin set work_mem = '16MB'; end $$"},
	{sql: "do $$ begin raise notice 'nothing'; end $$"},
	{sql: "explain (analyze, costs off, timing off, summary off) select remember('17MB')"},
	{sql: "insert into marked_{c} values (18)"},
	{sql: "copy (select remember('19MB')) to stdout"},
	{sql: "begin; select remember('20MB'); rollback"},
	{sql: "savepoint a; select remember('21MB'); rollback to a"},
	{sql: "select remember('22MB'); select 1/0"},
	{sql: "show work_mem"},
	{sql: "reset all"},
	{sql: "discard all"},
}

var preparing = theme{
	{sql: "prepare p1 as select 1", pins: true},
	{sql: "prepare p1 (int) as select $1 + 1", pins: true},
	{sql: "prepare p2 as select set_config('work_mem', '23MB', false)", pins: true},
	{sql: "execute p1", pins: true, simply: true},
	{sql: "execute p1 (1)", pins: true, simply: true},
	{sql: "execute p2", pins: true, simply: true},
	{sql: "deallocate p1"},
	{sql: "deallocate s1"},
	{sql: "deallocate s2"},
	{sql: "deallocate all"},
	{sql: "discard all"},
	{sql: "discard plans"},
}

var cursors = theme{
	{sql: "begin"},
	{sql: "commit"},
	{sql: "declare c1 cursor for select generate_series(1, 5)"},
	{sql: "declare c1 cursor with hold for select generate_series(1, 5)", pins: true},
	{sql: "fetch 2 from c1"},
	{sql: "fetch all from c1"},
	{sql: "move 1 in c1"},
	{sql: "close c1"},
	{sql: "close all"},
	{sql: "discard all"},
}

var channels = theme{
	{sql: "listen news_{c}", pins: true},
	{sql: "unlisten news_{c}"},
	{sql: "unlisten *"},
	{sql: "notify news_{c}, 'x'"},
	{sql: "notify news_{c}"},
	{sql: "select pg_notify('news_{c}', $1)", params: []string{"", "y"}},
	{sql: "begin; listen news_{c}; notify news_{c}; commit", pins: true},
	{sql: "begin; listen news_{c}; rollback", pins: true},
	{sql: "discard all"},
}

var locks = theme{
	{sql: "select pg_advisory_lock(hashtext('{c}'))", pins: true},
	{sql: "select pg_advisory_lock_shared(7)", pins: true},
	{sql: "select pg_try_advisory_lock(hashtext('{c}'))", pins: true},
	{sql: "select pg_advisory_xact_lock(hashtext('{c}'))"},
	{sql: "select pg_advisory_unlock(hashtext('{c}'))"},
	{sql: "select pg_advisory_unlock_shared(7)"},
	{sql: "select pg_advisory_unlock_all()"},
	{sql: "discard all"},
}

var temporary = theme{
	{sql: "create temp table tt (x int)", pins: true},
	{sql: "create temporary table tt (x int) on commit drop", pins: true},
	{sql: "create temp table tt as select 1 as x", pins: true},
	{sql: "select 2 as x into temp tt", pins: true},
	{sql: "create temp view tv as select 1", pins: true},
	{sql: "insert into tt values (3)"},
	{sql: "select x from tt"},
	{sql: "copy tt from stdin"},
	{sql: "drop table tt"},
	{sql: "drop view tv"},
	{sql: "discard temp"},
	{sql: "discard all"},
}

var roles = theme{
	{sql: "set role model_guest", pins: true},
	{sql: "set local role model_guest"},
	{sql: "set session authorization model_guest", pins: true},
	{sql: "reset role"},
	{sql: "reset session authorization"},
	{sql: "set role none"},
	{sql: "select current_user, session_user"},
	{sql: "begin; set role model_guest; rollback", pins: true},
	{sql: "discard all"},
}

var themes = map[string]theme{
	"failing": failing, "transactions": transactions, "writing": writing, "setting": plainly, "hidden": hidden, "preparing": preparing,
	"cursors": cursors, "channels": channels, "locks": locks, "temporary": temporary, "roles": roles,
}

// all is the names of the themes.
var all = slices.Sorted(maps.Keys(themes))
