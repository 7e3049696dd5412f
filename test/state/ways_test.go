package state_test

import "strings"

// way is how a client comes to make a kind of state.
type way struct {
	name string
	plan func(k kind) plan
}

// plan is a way for one kind.
type plan struct {
	objects    string // what the way needs in the database, in place before a server is opened
	steps      []step
	hides      bool   // nothing that a relay can read names what is made
	fresh      bool   // the steps change the objects
	pipelined  bool   // all steps are sent before the first answer is read
	block      bool   // opens a transaction block
	tooLong    bool   // prepares what only auto and session can keep; the others refuse it
	fails      string // SQLSTATE of an error that belongs to the story
	impossible string // why there are no steps
}

func impossible(reason string) plan { return plan{impossible: reason} }

const (
	noText    = "a Parse message is no part of a text"
	noBuiltin = "no built-in function does it"
	noSimple  = "the simple protocol binds no parameters"
	noPolicy  = "a superuser is bound by no policy"
)

// ways are those that a text shows.
var ways = []way{
	{"plain", func(k kind) plan { return plan{steps: []step{k.acts()}} }},
	{"among others", func(k kind) plan { return plan{steps: []step{append(k.acts("select 1"), one("select 2")...)}} }},
	{"in odd spelling", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		word, rest, _ := strings.Cut(k.make, " ")
		return plan{steps: []step{one(append([]string{"/* ;' /* select */ $$ */" + strings.ToUpper(word) + "-- '\n\t" + rest}, k.also...)...)}}
	}},
	{"bound", func(k kind) plan {
		if k.fn == "" {
			return impossible(noBuiltin)
		}
		var params []string
		for i, typ := range k.types() {
			params = append(params, "$"+string(rune('1'+i))+"::"+typ)
		}
		return plan{steps: []step{{{text: "select " + k.fn + "(" + strings.Join(params, ", ") + ")", args: k.args}}}}
	}},
	{"local", func(k kind) plan {
		if k.fn != "set_config" {
			return impossible("only a parameter can be set for one transaction")
		}
		return plan{block: true, steps: []step{one("begin"), one("select " + strings.Replace(k.expr, "false", "true", 1)), one("commit")}}
	}},
	{"local, bound", func(k kind) plan {
		if k.fn != "set_config" {
			return impossible("only a parameter can be set for one transaction")
		}
		return plan{steps: []step{{{text: "select set_config($1, $2, $3::boolean)", args: []string{k.args[0], k.args[1], "true"}}}}}
	}},
	{"committed", func(k kind) plan { return plan{block: true, steps: []step{one("begin"), k.acts(), one("commit")}} }},
	{"seen in its own transaction", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), k.acts(), k.eyes(), one("commit")}}
	}},
	{"committed in one go", func(k kind) plan {
		return plan{block: true, steps: []step{append(k.acts("begin"), one("commit")...)}}
	}},
	{"committed and chained", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), k.acts(), one("commit and chain"), one("select 1/0"), one("rollback")}, fails: "22012"}
	}},
	{"chained after a rollback", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), one("select 1"), one("rollback and chain"), k.acts(), one("commit")}}
	}},
	{"rolled back", func(k kind) plan { return plan{block: true, steps: []step{one("begin"), k.acts(), one("rollback")}} }},
	{"rolled back by COMMIT", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), k.acts(), one("select 1/0"), one("commit")}, fails: "22012"}
	}},
	{"before ROLLBACK TO", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), one("savepoint a"), k.acts(), one("rollback to a"), one("commit")}}
	}},
	{"before a savepoint that is rolled back", func(k kind) plan {
		return plan{block: true, fails: "22012", steps: []step{one("begin"), k.acts(), one("savepoint a"), one("select 1/0"), one("rollback to a"), one("commit")}}
	}},
	{"in a released savepoint", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), one("savepoint a"), k.acts(), one("release a"), one("commit")}}
	}},
	{"in a released savepoint of one that is rolled back", func(k kind) plan {
		return plan{block: true, steps: []step{one("begin"), one("savepoint a", "savepoint b"), k.acts(), one("release b"), one("rollback to a"), one("commit")}}
	}},
	{"before a COMMIT that fails", func(k kind) plan {
		return plan{block: true, fails: "23505", objects: deferred, steps: []step{one("begin"), k.acts("insert into twice values (1), (1)"), one("commit")}}
	}},
	{"in a query that fails at its end", func(k kind) plan {
		return plan{fails: "23505", objects: deferred, steps: []step{k.acts("insert into twice values (1), (1)")}}
	}},
	{"in a text that is very long", func(k kind) plan {
		if k.protocol {
			return plan{tooLong: true, steps: []step{{{text: padding + k.make, parse: "mine"}}}}
		}
		return plan{hides: true, steps: []step{one(append([]string{padding + k.make}, k.also...)...)}}
	}},
	{"in a query that fails", func(k kind) plan {
		return plan{steps: []step{append(k.acts(), one("select 1/0")...)}, fails: "22012"}
	}},
	{"committed in a query that fails", func(k kind) plan {
		return plan{steps: []step{append(k.acts(), one("commit", "select 1/0")...)}, fails: "22012"}
	}},
	{"committed in a query that leaves a transaction open", func(k kind) plan {
		return plan{block: true, steps: []step{append(k.acts("begin"), one("commit", "begin")...), one("rollback")}}
	}},
	{"in a pipeline", func(k kind) plan {
		return plan{pipelined: true, steps: []step{one("select 1"), k.acts(), one("select 2")}}
	}},
	{"in a pipeline that fails", func(k kind) plan {
		return plan{pipelined: true, steps: []step{k.acts(), one("select 1/0"), one("select 2")}, fails: "22012"}
	}},
	{"committed in a pipeline", func(k kind) plan {
		return plan{block: true, pipelined: true, steps: []step{one("begin"), k.acts(), one("commit"), one("select 2")}}
	}},
	{"rolled back in a pipeline", func(k kind) plan {
		return plan{block: true, pipelined: true, steps: []step{one("begin"), k.acts(), one("rollback"), one("select 2")}}
	}},
	{"made, cleaned and made again", func(k kind) plan {
		if k.protocol {
			return plan{steps: []step{k.acts(), one("deallocate mine"), k.acts()}}
		}
		return plan{steps: []step{k.acts(), one(k.clean), k.acts()}}
	}},
	{"made and discarded", func(k kind) plan { return plan{steps: []step{k.acts(), one("discard all")}} }},
	{"made and reset", func(k kind) plan { return plan{steps: []step{k.acts(), one("reset all")}} }},
	{"cleaned in a transaction that is rolled back", func(k kind) plan {
		p := plan{block: true, steps: []step{k.acts(), one("begin"), one(k.clean), one("rollback")}}
		if k.clean == "discard all" {
			p.fails = "25001" // not in a transaction block
		}
		return p
	}},
	{"prepared by protocol", func(k kind) plan {
		if k.protocol || len(k.also) > 0 {
			return impossible("it is no single statement")
		}
		return plan{steps: []step{{{text: k.make, parse: "made"}}, one("select 1"), {{bind: "made"}}}}
	}},
	{"EXPLAIN ANALYZE", func(k kind) plan {
		if k.expr == "" && !k.temp {
			return impossible(noBuiltin)
		}
		made := "select " + k.expr
		if k.temp {
			made = k.make
		}
		return plan{steps: []step{one(append([]string{"explain (analyze, costs off, timing off, summary off) " + made}, k.also...)...)}}
	}},
	{"EXECUTE", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{steps: []step{one("prepare p as select " + k.expr), one("execute p"), one("deallocate p")}}
	}},
	{"EXPLAIN ANALYZE EXECUTE", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{steps: []step{one("prepare p as select " + k.expr), one("explain (analyze, costs off, timing off, summary off) execute p"), one("deallocate p")}}
	}},
	{"a cursor", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{block: true, steps: []step{one("begin"), one("declare c cursor for select " + k.expr), one("fetch c"), one("commit")}}
	}},
	{"COPY", func(k kind) plan {
		if k.expr == "" {
			return impossible(noBuiltin)
		}
		return plan{steps: []step{one("copy (select " + k.expr + ") to stdout")}}
	}},
	{"DO", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{steps: []step{one("do $$ begin " + k.code() + " end $$")}}
	}},
	{"DO of a dynamic text", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{hides: true, steps: []step{one("do $$ begin " + k.dynamic() + " end $$")}}
	}},
	{"DO that undoes it", func(k kind) plan {
		if k.protocol {
			return impossible(noText)
		}
		return plan{steps: []step{one("do $$ begin begin " + k.code() + " raise 'no'; exception when others then null; end; end $$")}}
	}},
}

// deferred is a table whose constraint is looked at when the transaction ends.
const deferred = "create table twice (x int unique deferrable initially deferred); grant all on twice to public"

// padding is more than a relay assembles of one message.
var padding = "/* " + strings.Repeat("long ", 30_000) + "*/ "

// types are those of the built-in function's arguments.
func (k kind) types() []string {
	switch k.fn {
	case "set_config":
		return []string{"text", "text", "boolean"}
	case "setseed":
		return []string{"double precision"}
	case "setval":
		return []string{"regclass", "bigint"}
	case "nextval":
		return []string{"regclass"}
	}
	return []string{"bigint"}
}

// code is what makes k in PL/pgSQL.
func (k kind) code() string {
	if k.body != "" {
		return k.body + ";"
	}
	var code strings.Builder
	for _, text := range append([]string{k.make}, k.also...) {
		if rest, ok := strings.CutPrefix(text, "select "); ok && !strings.Contains(text, " into ") {
			code.WriteString("perform " + rest + "; ")
		} else {
			code.WriteString("execute $e$" + text + "$e$; ")
		}
	}
	return code.String()
}

// dynamic is code whose text does not show what it runs.
func (k kind) dynamic() string {
	var code strings.Builder
	texts := append([]string{k.make}, k.also...)
	if k.body != "" {
		texts = []string{k.body}
	}
	for _, text := range texts {
		code.WriteString("execute reverse($e$" + reversed(text) + "$e$); ")
	}
	return code.String()
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}
