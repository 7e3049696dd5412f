package wire

import "strings"

// Class says what a text may leave behind in its session. It is a set.
type Class uint8

const (
	// Sticks: the text may make state that lives in one server only (SQL PREPARE,
	// LISTEN, a cursor WITH HOLD, temporary objects, session advisory locks, a
	// setting that the server does not report, code whose effects the text hides).
	Sticks Class = 1 << iota
	// Taints: like Sticks, but DISCARD ALL does not undo it (setseed, LOAD,
	// dblink, temporary replication slots), so the server ends with its client.
	Taints
	// Sets: plain SET commands of settings that the server does not report; which,
	// SetNames tells. The server itself can be asked for their values.
	Sets
	// Resets: RESET or DISCARD may have taken away settings that are not reported.
	Resets
	// Sequences: the text reads lastval or currval, which belong to one session.
	Sequences
	// Deallocates: DEALLOCATE or DISCARD ALL may have taken away prepared statements.
	Deallocates
	// Defines: CREATE, ALTER or DROP may have made prepared statements out of date.
	// Temporary objects stick, and concern nobody else.
	Defines
)

// Classify reads sql as far as is needed to tell its Class: words outside
// strings, comments and dollar quotes, at the start of a statement and in it
// (PostgreSQL 18 manual, 4.1). backslash is true where
// standard_conforming_strings is off. Bodies of routines are not in the text:
// what a function does inside is not seen here.
//
// It runs for each Query and Parse, so it does not allocate: 0.1 µs for a
// pgbench select (BenchmarkClassify).
func Classify(sql []byte, backslash bool) Class {
	l := lexer{b: sql, backslash: backslash}
	for {
		w, ok := l.word()
		if !ok {
			return l.class
		}
		l.see(w)
	}
}

// Words calls f with each word of sql outside strings and comments.
func Words(sql []byte, f func(word []byte)) {
	l := lexer{b: sql}
	for {
		w, ok := l.word()
		if !ok {
			return
		}
		f(w)
	}
}

// ClassifyRoutine is Classify for the body of a routine in SQL or PL/pgSQL. There
// a statement may stand behind BEGIN, THEN, ELSE or LOOP, and what EXECUTE runs
// is not in the text.
func ClassifyRoutine(body []byte) Class {
	l := lexer{b: body}
	for {
		w, ok := l.word()
		if !ok {
			break
		}
		for _, b := range [...]string{"begin", "then", "else", "loop", "atomic"} {
			if is(l.before, b) {
				l.verb, l.nth = none, 0
			}
		}
		if is(w, "execute") {
			l.class |= Sticks | Deallocates
		}
		l.see(w)
	}
	if l.class&(Sets|Resets) != 0 { // who calls it is not told which
		l.class |= Sticks
	}
	return l.class
}

// Deallocated reads a text that is one DEALLOCATE or DISCARD ALL: discard says
// that it is the latter, all that it frees every statement, and name, as it was
// given to PREPARE or in the protocol, that it frees one. For any other text it
// returns nothing.
func Deallocated(sql []byte) (name string, all, discard bool) {
	l := lexer{b: sql}
	var words [4][]byte
	n, quoted := 0, false
	for ; n < len(words); n++ {
		l.nth = 1
		w, ok := l.word()
		if !ok {
			break
		}
		if n > 0 && l.nth == 0 {
			return "", false, false // a second statement
		}
		words[n], quoted = w, l.at > 0 && sql[l.at-1] == '"'
	}
	verb, last := words[0], words[max(n-1, 0)]
	switch {
	case n == 2 && is(verb, "discard") && is(last, "all"):
		return "", true, true
	case !is(verb, "deallocate"), n != 2 && !(n == 3 && is(words[1], "prepare")):
		return "", false, false
	case !quoted && is(last, "all"):
		return "", true, false
	case quoted:
		return string(last), false, false
	}
	return strings.ToLower(string(last)), false, false
}

// lexer walks one text. The zero verb means that the next word starts a
// statement.
type lexer struct {
	b         []byte
	at        int
	backslash bool
	class     Class
	verb      verb
	nth       int    // words seen in this statement
	before    []byte // the word before this one
}

type verb uint8

const (
	none verb = iota
	other
	set
	setSession
	prepare
	create
	declare
	discard
)

// see takes the next word of a statement into account.
func (l *lexer) see(w []byte) {
	l.nth++
	if l.nth == 1 {
		l.begin(w)
	} else {
		l.follow(w)
	}
	l.anywhere(w)
	l.before = w
}

// begin looks at a statement's first word.
func (l *lexer) begin(w []byte) {
	l.verb = other
	switch {
	case is(w, "set"):
		l.verb = set
	case is(w, "prepare"):
		l.verb = prepare
	case is(w, "declare"):
		l.verb = declare
	case is(w, "discard"):
		l.verb = discard
		l.class |= Resets
	case is(w, "create"):
		l.verb = create
	case is(w, "alter"), is(w, "drop"), is(w, "import"):
		l.class |= Defines
	case is(w, "deallocate"):
		l.class |= Deallocates
	case is(w, "reset"):
		l.class |= Resets
	case is(w, "listen"):
		l.class |= Sticks
	case is(w, "do"), is(w, "call"):
		l.class |= Sticks | Defines
	case is(w, "load"):
		l.class |= Sticks | Taints
	}
}

// follow looks at a word after the first, where the first one asks for it.
func (l *lexer) follow(w []byte) {
	switch l.verb {
	case set, setSession:
		l.setting(w)
	case prepare:
		if !is(w, "transaction") { // two-phase commit leaves nothing in the session
			l.class |= Sticks
		}
		l.verb = other
	case create:
		if !is(w, "temp") && !is(w, "temporary") && !is(w, "local") && !is(w, "global") {
			l.class |= Defines
		}
		l.verb = other
	case declare:
		if is(w, "hold") && is(l.before, "with") {
			l.class |= Sticks
		}
	case discard:
		if is(w, "all") {
			l.class |= Deallocates
		}
		l.verb = other
	}
}

// setting looks at what follows SET: reported parameters are tracked exactly by
// the server's own word, those of one transaction end with it, the rest stick.
func (l *lexer) setting(w []byte) {
	if l.verb == set {
		switch {
		case is(w, "session"):
			l.verb = setSession
			return
		case is(w, "local"), is(w, "transaction"), is(w, "constraints"):
			l.verb = other
			return
		}
	}
	after := l.verb == setSession
	l.verb = other
	switch {
	case Reported(w), is(w, "time"), is(w, "names"):
	case is(w, "role"), is(w, "session_authorization"), after && is(w, "authorization"):
		l.class |= Sticks
	case is(w, "seed"):
		l.class |= Sticks | Taints
	default:
		l.class |= Sets
	}
}

// SetNames calls f with the name of each setting that sql sets, as the server
// calls it, and of each that it resets; with "" for RESET ALL.
func SetNames(sql []byte, f func(name string)) {
	l := lexer{b: sql}
	var name string
	for {
		w, ok := l.word()
		if !ok {
			return
		}
		if l.nth++; l.nth == 1 {
			l.verb, name = other, ""
			if is(w, "set") || is(w, "reset") {
				l.verb = set
			}
			continue
		}
		if l.verb != set {
			continue
		}
		if l.nth == 2 && is(w, "session") { // SESSION AUTHORIZATION sticks, and is not asked for
			continue
		}
		name += folded(sql, l.at, w)
		if l.at < len(sql) && sql[l.at] == '.' {
			name += "."
			continue
		}
		l.verb = other
		switch name {
		case "local", "transaction", "constraints", "time", "names", "authorization", "role":
		case "all":
			f("")
		case "schema":
			f("search_path")
		case "xml":
			f("xmloption")
		case "characteristics":
			f("default_transaction_isolation")
			f("default_transaction_deferrable")
		default:
			f(name)
		}
	}
}

// folded is w, which ends before at, as an identifier: in lower case unless it
// stands in quotes.
func folded(sql []byte, at int, w []byte) string {
	if at > 0 && sql[at-1] == '"' {
		return string(w)
	}
	return strings.ToLower(string(w))
}

// reported are the settings that PostgreSQL 15 reports by ParameterStatus and a
// session can change (PostgreSQL 18 manual, 54.2.7).
var reported = [...]string{
	"client_encoding", "datestyle", "timezone", "intervalstyle", "standard_conforming_strings", "application_name",
	"default_transaction_read_only",
}

// Reported reports whether name, in any case, is a setting of the session whose
// every change the server reports.
func Reported(name []byte) bool {
	for _, r := range reported {
		if is(name, r) {
			return true
		}
	}
	return false
}

// anywhere looks for words that matter wherever they stand. The first letters
// keep nearly all words of ordinary texts out of the comparisons.
func (l *lexer) anywhere(w []byte) {
	if len(w) < 4 {
		return
	}
	switch w[0] | 0x20 {
	case 't':
		if is(w, "temp") || is(w, "temporary") {
			for _, b := range [...]string{"create", "replace", "local", "global", "into"} {
				if is(l.before, b) {
					l.class |= Sticks
				}
			}
		}
	case 'p':
		switch {
		case !begins(w, "pg_"):
		case begins(w, "pg_temp"):
			l.class |= Sticks
		case begins(w, "pg_advisory_unlock"), begins(w, "pg_advisory_xact"), begins(w, "pg_try_advisory_xact"):
		case begins(w, "pg_advisory"), begins(w, "pg_try_advisory"):
			l.class |= Sticks
		case begins(w, "pg_create_"), begins(w, "pg_replication_origin_session"):
			l.class |= Sticks | Taints
		}
	case 's':
		switch {
		case is(w, "set_config"), is(w, "set_limit"):
			l.class |= Sticks
		case is(w, "setseed"):
			l.class |= Sticks | Taints
		}
	case 'l':
		if is(w, "lastval") {
			l.class |= Sequences
		}
	case 'c':
		if is(w, "currval") {
			l.class |= Sequences
		}
	case 'd':
		if begins(w, "dblink") {
			l.class |= Sticks | Taints
		}
	}
}

// is compares a word with a lower-case one, case folded in ASCII as PostgreSQL
// folds keywords.
func is(w []byte, lower string) bool { return len(w) == len(lower) && begins(w, lower) }

func begins(w []byte, lower string) bool {
	if len(w) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := w[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
