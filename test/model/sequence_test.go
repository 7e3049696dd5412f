package model_test

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"
)

// sequence is what a run of the property does.
type sequence struct {
	setting
	steps []step
}

// setting is where a sequence is played.
type setting struct {
	servers int  // of the pool
	hooks   bool // writes run triggers that change settings
}

// step is what one client sends in one write.
type step struct {
	client   int
	messages []message
	cut      int  // the write's first bytes go in a write of their own; 0: they do not
	vanish   bool // the client is gone when it has sent them
}

const (
	clients  = 4  // most of a sequence
	servers  = 2  // most of a pool
	maxSteps = 14 // of a sequence, before those that end it
)

// letter is what a client is called.
func letter(client int) string { return string(rune('a' + client)) }

// sequences is the generator of those that speak of some of these themes.
func sequences(names []string) *rapid.Generator[sequence] {
	return rapid.Custom(func(t *rapid.T) sequence { return drawSequence(t, names) })
}

func drawSequence(t *rapid.T, names []string) (s sequence) {
	s.servers = rapid.IntRange(1, servers).Draw(t, "servers")
	d := draw{clients: rapid.IntRange(2, clients).Draw(t, "clients"), texts: []theme{plain}}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, min(4, len(names)), rapid.ID[string]).Draw(t, "themes") {
		d.texts = append(d.texts, themes[name])
		s.hooks = s.hooks || name == "hidden"
	}
	s.steps = rapid.SliceOfN(rapid.Custom(d.step), 1, maxSteps).Draw(t, "steps")
	return s
}

// draw is what all steps of a sequence have in common.
type draw struct {
	clients int
	texts   []theme
}

func (d draw) step(t *rapid.T) step {
	s := step{client: rapid.IntRange(0, d.clients-1).Draw(t, "client")}
	s.messages = rapid.SampledFrom(shapes).Draw(t, "shape")(d, t)
	for i := range s.messages {
		s.messages[i].name(letter(s.client))
	}
	switch n := rapid.IntRange(0, 199).Draw(t, "accident"); {
	case n > 197: // rarely, since it costs two new connections
		s.vanish, s.messages = true, unsynced(s.messages)
	case n > 150:
		s.cut = rapid.IntRange(1, 40).Draw(t, "cut")
	}
	return s
}

// name puts a client's letter where a text has {c}.
func (m *message) name(c string) {
	switch x := m.FrontendMessage.(type) {
	case *pgproto3.Query:
		x.String = strings.ReplaceAll(x.String, "{c}", c)
	case *pgproto3.Parse:
		x.Query = strings.ReplaceAll(x.Query, "{c}", c)
	}
}

// unsynced is the beginning of list that commits nothing: what a client was asked
// for when it vanished may or may not be done.
func unsynced(list []message) []message {
	for i, m := range list {
		switch m.FrontendMessage.(type) {
		case *pgproto3.Query, *pgproto3.Sync, *pgproto3.FunctionCall, *pgproto3.CopyDone:
			return list[:i]
		}
	}
	return list
}

// shapes are the kinds of steps, as often as they shall come.
var shapes = []func(draw, *rapid.T) []message{
	draw.simple, draw.simple, draw.simple, draw.simple, draw.simple,
	draw.joined, draw.joined,
	draw.pipelined,
	draw.transaction, draw.transaction,
	draw.whole, draw.whole, draw.whole,
	draw.prepare, draw.prepare,
	draw.reuse, draw.reuse, draw.reuse,
	draw.jumble, draw.jumble, draw.jumble,
	draw.suspended,
	draw.copySimple, draw.copyExtended, draw.copyData,
	draw.call,
}

func (d draw) text(t *rapid.T) text {
	from := rapid.SampledFrom(d.texts).Draw(t, "theme")
	return rapid.SampledFrom(from).Draw(t, "text")
}

// statement is a text for a Parse.
func (d draw) statement(t *rapid.T) text {
	x := d.text(t)
	if x.simply {
		return plain[0]
	}
	return x
}

func (d draw) simple(t *rapid.T) []message {
	x := d.text(t)
	return []message{query(x.sql, x.pins)}
}

// joined is several statements in one Query.
func (d draw) joined(t *rapid.T) []message {
	var list []string
	pins := false
	for range rapid.IntRange(2, 4).Draw(t, "texts") {
		x := d.text(t)
		list, pins = append(list, x.sql), pins || x.pins
	}
	return []message{query(strings.Join(list, "; "), pins)}
}

// pipelined is several Queries without waiting.
func (d draw) pipelined(t *rapid.T) (list []message) {
	for range rapid.IntRange(2, 3).Draw(t, "queries") {
		list = append(list, d.simple(t)...)
	}
	return list
}

// transaction is one with savepoints, ended or not.
func (d draw) transaction(t *rapid.T) []message {
	list := []message{query("begin", false)}
	for range rapid.IntRange(2, 6).Draw(t, "parts") {
		sql := rapid.SampledFrom([]string{"", "savepoint a", "set work_mem = '7MB'", "rollback to a", "show work_mem"}).Draw(t, "part")
		if sql == "" {
			list = append(list, d.simple(t)...)
			continue
		}
		list = append(list, query(sql, false))
	}
	switch rapid.IntRange(0, 3).Draw(t, "end") {
	case 0:
		return list
	case 1:
		return append(list, query("rollback", false))
	}
	return append(list, query("commit", false))
}

// whole is a batch as drivers send it.
func (d draw) whole(t *rapid.T) (list []message) {
	for range rapid.IntRange(1, 3).Draw(t, "statements") {
		x := d.statement(t)
		list = append(list, parse(t, "", x), d.bind(t, "", "", x), message{FrontendMessage: &pgproto3.Describe{ObjectType: 'P'}}, execute("", 0))
	}
	return append(list, synced)
}

// prepare gives a statement a name, and perhaps the name of another.
func (d draw) prepare(t *rapid.T) []message {
	x, name := d.statement(t), statement(t)
	list := []message{parse(t, name, x)}
	if rapid.Bool().Draw(t, "describe") {
		list = append(list, message{FrontendMessage: &pgproto3.Describe{ObjectType: 'S', Name: name}})
	}
	if rapid.Bool().Draw(t, "run") {
		list = append(list, d.bind(t, "", name, x), execute("", 0))
	}
	return append(list, synced)
}

// reuse runs a statement that was prepared before, or not.
func (d draw) reuse(t *rapid.T) []message {
	name := statement(t)
	var list []message
	if rapid.IntRange(0, 3).Draw(t, "describe") == 0 {
		list = append(list, message{FrontendMessage: &pgproto3.Describe{ObjectType: 'S', Name: name}})
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		list = append(list, d.bind(t, "", name, some(t)), execute("", 0))
	}
	if rapid.IntRange(0, 5).Draw(t, "close") == 0 {
		list = append(list, message{FrontendMessage: &pgproto3.Close{ObjectType: 'S', Name: name}})
	}
	return append(list, synced)
}

// jumble is messages in any order.
func (d draw) jumble(t *rapid.T) (list []message) {
	for range rapid.IntRange(1, 7).Draw(t, "messages") {
		var m pgproto3.FrontendMessage
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0, 1:
			list = append(list, parse(t, statement(t), d.statement(t)))
			continue
		case 2, 3:
			list = append(list, d.bind(t, portal(t), statement(t), some(t)))
			continue
		case 4:
			m = &pgproto3.Describe{ObjectType: 'S', Name: statement(t)}
			if rapid.Bool().Draw(t, "portal") {
				m = &pgproto3.Describe{ObjectType: 'P', Name: portal(t)}
			}
		case 5:
			list = append(list, execute(portal(t), rapid.Uint32Range(0, 2).Draw(t, "rows")))
			continue
		case 6:
			m = &pgproto3.Close{ObjectType: 'S', Name: statement(t)}
			if rapid.IntRange(0, 3).Draw(t, "portal") == 0 {
				m = &pgproto3.Close{ObjectType: 'P', Name: portal(t)}
			}
		case 7:
			m = &pgproto3.Sync{}
		}
		list = append(list, message{FrontendMessage: m})
	}
	return append(list, ending(t))
}

// suspended runs a portal piece by piece, in a transaction or up to a Flush.
func (d draw) suspended(t *rapid.T) (list []message) {
	x := text{sql: "select generate_series(1, 5)"}
	if rapid.Bool().Draw(t, "begin") {
		list = append(list, query("begin", false))
	}
	p := portal(t)
	list = append(list, parse(t, "", x), d.bind(t, p, "", x))
	for range rapid.IntRange(1, 4).Draw(t, "pieces") {
		list = append(list, execute(p, rapid.Uint32Range(0, 3).Draw(t, "rows")))
		if rapid.IntRange(0, 3).Draw(t, "sync") == 0 {
			list = append(list, synced)
		}
	}
	return append(list, ending(t))
}

// copySimple is COPY FROM by a Query, ended or not.
func (d draw) copySimple(t *rapid.T) []message {
	list := []message{query("copy t_{c} (x) from stdin", false)}
	if rapid.Bool().Draw(t, "joined") {
		list = []message{query("copy t_{c} (x) from stdin; select 1; copy t_{c} (x) from stdin", false)}
	}
	if rapid.IntRange(0, 3).Draw(t, "wait") > 0 {
		list = append(list, d.copyData(t)...)
	}
	return list
}

// copyExtended is COPY FROM by Execute, ended or not; some drivers send a Sync
// after it, which PostgreSQL ignores (54.2.6), and one behind the data.
func (d draw) copyExtended(t *rapid.T) []message {
	x := text{sql: "copy t_{c} (x) from stdin"}
	list := []message{parse(t, "", x), d.bind(t, "", "", x), execute("", 0)}
	if rapid.Bool().Draw(t, "early") {
		return append(list, synced)
	}
	if rapid.IntRange(0, 3).Draw(t, "wait") > 0 {
		list = append(list, d.copyData(t)...)
		if _, open := list[len(list)-1].FrontendMessage.(*pgproto3.CopyData); !open {
			return append(list, synced)
		}
	}
	return append(list, flush)
}

// copyData is data and perhaps the end, whether or not anybody asked for it.
func (draw) copyData(t *rapid.T) (list []message) {
	for _, data := range rapid.SliceOfN(rapid.SampledFrom([]string{"1\n", "2\n3\n", "4", "x\n"}), 1, 3).Draw(t, "data") {
		list = append(list, message{FrontendMessage: &pgproto3.CopyData{Data: []byte(data)}})
	}
	switch rapid.IntRange(0, 4).Draw(t, "end") {
	case 0:
		list = append(list, message{FrontendMessage: &pgproto3.CopyFail{Message: "no more"}})
	case 1, 2, 3:
		list = append(list, message{FrontendMessage: &pgproto3.CopyDone{}})
	}
	return list
}

// call is a FunctionCall: int4pl, int4div and set_config, by their oids in every
// PostgreSQL.
func (draw) call(t *rapid.T) []message {
	f := rapid.SampledFrom([]pgproto3.FunctionCall{
		{Function: 177, Arguments: [][]byte{[]byte("40"), []byte("2")}},
		{Function: 154, Arguments: [][]byte{[]byte("1"), []byte("0")}},
		{Function: 2078, Arguments: [][]byte{[]byte("work_mem"), []byte("31MB"), []byte("f")}},
		{Function: 1, Arguments: nil},
	}).Draw(t, "function")
	return []message{{FrontendMessage: &f, pins: f.Function == 2078}}
}

var (
	synced = message{FrontendMessage: &pgproto3.Sync{}}
	flush  = message{FrontendMessage: &pgproto3.Flush{}}
)

func query(sql string, pins bool) message {
	return message{FrontendMessage: &pgproto3.Query{String: sql}, pins: pins}
}

func execute(portal string, rows uint32) message {
	return message{FrontendMessage: &pgproto3.Execute{Portal: portal, MaxRows: rows}}
}

func parse(t *rapid.T, name string, x text) message {
	if name != "" && strings.Contains(x.sql, ";") {
		x = plain[0] // refused anyway, but in a failed transaction for either reason
	}
	m := &pgproto3.Parse{Name: name, Query: x.sql}
	if x.params != nil && rapid.IntRange(0, 3).Draw(t, "typed") == 0 {
		m.ParameterOIDs = []uint32{rapid.SampledFrom([]uint32{0, 23, 25}).Draw(t, "type")}
	}
	return message{FrontendMessage: m, pins: x.pins}
}

func (draw) bind(t *rapid.T, portal, statement string, x text) message {
	m := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
	if x.params != nil {
		m.Parameters = [][]byte{[]byte(rapid.SampledFrom(x.params).Draw(t, "value"))}
	}
	if rapid.IntRange(0, 3).Draw(t, "binary") == 0 {
		m.ResultFormatCodes = []int16{1}
	}
	return message{FrontendMessage: m}
}

// some is a text of which only the parameters count: mostly none.
func some(t *rapid.T) text {
	if rapid.IntRange(0, 4).Draw(t, "parameters") == 0 {
		return text{params: []string{"1", "0", "x"}}
	}
	return text{}
}

func statement(t *rapid.T) string {
	return rapid.SampledFrom([]string{"s1", "s2", "s1", ""}).Draw(t, "statement")
}

func portal(t *rapid.T) string { return rapid.SampledFrom([]string{"", "p", "c1"}).Draw(t, "portal") }

// ending is what makes PostgreSQL answer.
func ending(t *rapid.T) message {
	if rapid.IntRange(0, 3).Draw(t, "flush") == 0 {
		return flush
	}
	return synced
}

// GoString is the sequence as rapid reports it and as testdata/sequences keeps it:
// a client's letter begins a step.
func (s sequence) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "servers %d hooks %t\n", s.servers, s.hooks)
	for _, x := range s.steps {
		who := letter(x.client)
		for _, m := range x.messages {
			fmt.Fprintf(&b, "%s %s\n", who, m)
			who = " "
		}
		if x.cut > 0 {
			fmt.Fprintf(&b, "%s cut %d\n", who, x.cut)
		}
		if x.vanish {
			fmt.Fprintf(&b, "%s vanishes\n", who)
		}
	}
	return b.String()
}
