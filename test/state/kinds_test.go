package state_test

import "fmt"

// kind is a kind of session state.
type kind struct {
	name    string
	objects string   // what it needs in the database
	make    string   // the statement that makes the state
	also    []string // … with these behind it
	// expr does the same where a built-in function can. Its argument list stands
	// apart too, to be bound.
	expr  string
	fn    string
	args  []string
	body  string // in PL/pgSQL; empty: make, by EXECUTE
	look  string // says whether it is there
	clean string // what an owner does to be rid of it

	super    bool // only a superuser can
	protocol bool // make is prepared, and look bound, by the extended protocol's own messages
	// A variant of another kind leaves it the ways that a text does not show, and
	// unless the tests are long so does a kind that is not typical.
	variant, typical bool
	temp             bool // the query makes an object: EXPLAIN ANALYZE and the like can as well
	// unseen is state that nothing shows: no cleaning frees the server before its
	// client goes.
	unseen bool
	// nameless state is found by nobody who does not know its name, or not at all.
	// Where code hides what it makes, A may lose it: a published exception.
	nameless bool
	// loses are the lines that A may see in mode auto instead of its state: a
	// published exception.
	loses string
}

func (k kind) acts(text ...string) (s step) {
	if k.protocol {
		return append(one(text...), act{text: k.make, parse: "mine"})
	}
	return append(append(one(text...), act{text: k.make}), one(k.also...)...)
}

// eyes is the step that looks for k's state.
func (k kind) eyes() step {
	if k.protocol {
		return step{{bind: "mine"}}
	}
	return one(k.look)
}

// setting is a run-time parameter, by SET.
func setting(name, parameter, value string) kind {
	return kind{
		name: name,
		make: fmt.Sprintf("set %s = '%s'", parameter, value), look: fmt.Sprintf("select coalesce(current_setting('%s', true), '')", parameter),
		body: fmt.Sprintf("set %s = '%s'", parameter, value), clean: "reset " + parameter,
		expr: fmt.Sprintf("set_config('%s', '%s', false)", parameter, value), fn: "set_config", args: []string{parameter, value, "false"},
	}
}

func variant(k *kind) { k.variant = true }
func typical(k *kind) { k.typical = true }

// as changes k.
func (k kind) as(change func(*kind)) kind {
	change(&k)
	return k
}

var kinds = []kind{
	setting("reported parameter", "timezone", "asia/jakarta"),
	setting("date style", "datestyle", "german").as(variant),
	setting("strings with backslashes", "standard_conforming_strings", "off").as(variant),
	setting("client encoding", "client_encoding", "LATIN1").as(variant),
	setting("unreported parameter", "work_mem", "77MB").as(typical),
	setting("SET TIME ZONE", "timezone", "Asia/Jakarta").as(func(k *kind) { k.variant, k.make = true, "set time zone 'Asia/Jakarta'" }),
	setting("SET NAMES", "client_encoding", "LATIN1").as(func(k *kind) { k.variant, k.make = true, "set names 'LATIN1'" }),
	setting("SET SCHEMA", "search_path", "other").as(func(k *kind) { k.variant, k.make = true, "set schema 'other'" }),
	setting("SET SESSION", "work_mem", "77MB").as(func(k *kind) { k.variant, k.make = true, "set session work_mem to '77MB'" }),
	setting("SET XML OPTION", "xmloption", "document").as(func(k *kind) { k.variant, k.make = true, "set xml option document" }),
	setting("parameter in another encoding", "app.x", "é").as(func(k *kind) {
		k.variant, k.nameless, k.make, k.also = true, true, "set client_encoding = 'LATIN1'", []string{`set app.x = U&'\00e9'`}
		k.look, k.clean = "select encode(convert_to(coalesce(current_setting('app.x', true), ''), 'UTF8'), 'hex')", "reset all"
		k.expr, k.fn, k.body = "", "", `set client_encoding = 'LATIN1'; set app.x = U&'\00e9'`
	}),
	setting("time-out", "statement_timeout", "77s").as(variant),
	setting("custom parameter", "app.x", "mine").as(func(k *kind) { k.nameless, k.typical = true, true }),
	setting("search path", "search_path", "pg_catalog, other").as(func(k *kind) {
		k.make = "set search_path = pg_catalog, other"
		k.body = k.make
	}),
	setting("search path with impostors", "search_path", "evil, pg_catalog").as(func(k *kind) {
		k.objects, k.look, k.make = impostors, "select pg_catalog.current_setting('search_path')", "set search_path = evil, pg_catalog"
		k.body = k.make
	}),
	setting("parameter of superusers", "session_replication_role", "replica").as(func(k *kind) { k.super = true }),
	{
		name: "set_config", variant: true, make: "select set_config('lock_timeout', '77s', false)", look: "show lock_timeout", clean: "reset lock_timeout",
		expr: "set_config('lock_timeout', '77s', false)", fn: "set_config", args: []string{"lock_timeout", "77s", "false"},
	},
	{
		name: "characteristics", make: "set session characteristics as transaction isolation level serializable, deferrable",
		look:  "select current_setting('default_transaction_isolation'), current_setting('default_transaction_deferrable')",
		clean: "reset all",
	},
	{
		name: "role", typical: true, make: "set role other", look: "select current_user", clean: "reset role",
		expr: "set_config('role', 'other', false)", fn: "set_config", args: []string{"role", "other", "false"},
	},
	{
		name: "session authorization", make: "set session authorization other", look: "select session_user, current_user", super: true, clean: "reset session authorization",
		expr: "set_config('session_authorization', 'other', false)", fn: "set_config", args: []string{"session_authorization", "other", "false"},
	},
	{name: "statement by protocol", make: "select 7", protocol: true, clean: "deallocate all"},
	{name: "statement by SQL", typical: true, make: "prepare mine as select 7", look: "execute mine", clean: "deallocate mine"},
	{
		name: "cursor with hold", make: "declare mine cursor with hold for select 7", look: "select count(*) from pg_cursors where name = 'mine'", clean: "close mine",
	},
	{name: "listen", typical: true, make: "listen mine", look: "select pg_listening_channels()", clean: "unlisten *"},
	temporary("temporary table", "create temp table mine as select 7 as x", "drop table mine").as(func(k *kind) { k.temp, k.typical = true, true }),
	temporary("temporary table by its schema", "create table pg_temp.mine (x int)", "drop table pg_temp.mine").as(variant),
	temporary("temporary table by SELECT INTO", "select 7 as x into temp mine", "drop table mine").as(func(k *kind) {
		k.variant, k.body = true, "create temp table mine as select 7" // PL/pgSQL's own SELECT INTO is another
	}),
	temporary("temporary view", "create temp view mine as select 7", "drop view mine").as(variant),
	temporary("temporary function", "create function pg_temp.mine() returns int language sql as 'select 7'", "drop function pg_temp.mine()").as(variant),
	temporary("temporary sequence", "create temp sequence mine", "drop sequence mine").as(variant),
	temporary("table named like a catalogue", "create temp table pg_settings as select 'work_mem' as name, '4MB' as setting, 'default' as source", "drop table pg_temp.pg_settings"),
	lock("advisory lock", "pg_advisory_lock").as(typical),
	lock("advisory lock, shared", "pg_advisory_lock_shared").as(variant),
	lock("advisory lock, tried", "pg_try_advisory_lock").as(variant),
	lock("advisory lock, taken twice", "pg_advisory_lock").as(func(k *kind) {
		k.also = []string{"select pg_advisory_lock(7)", "select pg_advisory_unlock(7)"}
		k.clean = "select pg_advisory_unlock_all()"
	}),
	{
		name: "currval", objects: "create sequence q; grant all on q to public", make: "select setval('q', 77)", look: "select currval('q')", clean: "discard sequences",
		expr: "setval('q', 77)", fn: "setval", args: []string{"q", "77"}, loses: "error 55000 I",
	},
	{
		name: "lastval", typical: true, objects: "create sequence q minvalue 5 maxvalue 6 increment 9 cycle; grant all on q to public", make: "select nextval('q')", look: "select lastval()", clean: "discard sequences",
		expr: "nextval('q')", fn: "nextval", args: []string{"q"}, loses: "error 55000 I",
	},
	{
		name: "lastval by an identity column", variant: true, objects: "create table s (id int generated always as identity (minvalue 5 maxvalue 6 increment 9 cycle)); grant all on s to public",
		make: "insert into s default values", look: "select lastval()", clean: "discard sequences", loses: "error 55000 I",
	},
	{
		name: "seed", typical: true, objects: seedObjects, make: "select setseed(0.5)", look: "select random() in (select x from seeded)", clean: "discard all", unseen: true,
		expr: "setseed(0.5)", fn: "setseed", args: []string{"0.5"}, loses: "(f) SELECT 1; I",
	},
	{
		name: "seed by SET", variant: true, objects: seedObjects, make: "set seed = 0.5", look: "select random() in (select x from seeded)", clean: "discard all", unseen: true,
		expr: "set_config('seed', '0.5', false)", fn: "set_config", args: []string{"seed", "0.5", "false"}, loses: "(f) SELECT 1; I",
	},
	{
		name: "library", nameless: true, make: "load 'auto_explain'", body: "load 'auto_explain'", look: "select coalesce(current_setting('auto_explain.log_min_duration', true), '')", clean: "discard all", super: true, unseen: true,
	},
	{
		name: "temporary replication slot", nameless: true, look: "select count(*) from pg_replication_slots where active_pid = pg_backend_pid()", clean: "discard all", super: true, unseen: true,
		make: "select count(*) from pg_create_physical_replication_slot('mine' || pg_backend_pid(), false, true)",
	},
}

// impostors stand where an unqualified name of the catalogue is looked up first.
const impostors = `create schema evil; grant usage on schema evil to public;
create function evil.current_setting(text) returns text language sql as $$select 'lie'$$;
create function evil.current_setting(text, boolean) returns text language sql as $$select 'lie'$$;
create function evil.set_config(text, text, boolean) returns text language sql as $$select 'lie'$$;
create function evil.pg_listening_channels() returns setof text language sql as $$select 'lie'$$;
create function evil.same(text, text) returns boolean language sql as $$select false$$;
create operator evil.= (function = evil.same, leftarg = text, rightarg = text);
create operator evil.<> (function = evil.same, leftarg = text, rightarg = text);
create view evil.pg_settings as select name, 'lie' as setting, 'default' as source, 'lie' as reset_val from pg_catalog.pg_settings;
create view evil.pg_prepared_statements as select * from pg_catalog.pg_prepared_statements where false; grant select on all tables in schema evil to public`

// seedObjects know the first numbers after setseed(0.5).
const seedObjects = `create table seeded as select null::float8 as x where false;
select setseed(0.5); insert into seeded select random() from generate_series(1, 100); grant all on seeded to public`

// temporary is an object in the session's temporary schema.
func temporary(name, made, clean string) kind {
	return kind{
		name: name, make: made, clean: clean,
		look: "select count(*) from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = pg_my_temp_schema()",
	}
}

func lock(name, fn string) kind {
	return kind{
		name: name, make: "select " + fn + "(7)", look: "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
		clean: "select pg_advisory_unlock_all()", expr: fn + "(7)", fn: fn, args: []string{"7"},
	}
}
