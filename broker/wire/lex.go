package wire

// Classify reads sql as far as is needed to tell its Class: words outside
// strings, comments and dollar quotes, at the start of a statement and in it
// (PostgreSQL 18 manual, 4.1). backslash is true where
// standard_conforming_strings is off. The body of a DO is read too, and that of a
// routine that is being made. Those of other routines are not in the text.
//
// It runs for each Query and Parse, so it does not allocate: 0.07 µs for a
// pgbench select (BenchmarkClassify).
func Classify(sql []byte, backslash bool) Class {
	l := lexer{b: sql, backslash: backslash}
	return l.classify()
}

// ClassifyRoutine is Classify for the body of a routine in SQL or PL/pgSQL. There
// a statement may stand behind BEGIN, THEN, ELSE or LOOP, and what EXECUTE runs
// is not in the text.
func ClassifyRoutine(body []byte) Class {
	l := lexer{b: body, routine: true}
	return l.classify()
}

func (l *lexer) classify() Class {
	for {
		w, ok := l.word()
		if !ok {
			return l.class
		}
		l.see(w)
	}
}

// Words calls f with each word of sql outside strings and comments, also in the
// body of a DO. backslash is as in Classify.
func Words(sql []byte, backslash bool, f func(word []byte)) {
	l := lexer{b: sql, backslash: backslash, enter: func(body []byte) { Words(body, false, f) }}
	for {
		w, ok := l.word()
		if !ok {
			return
		}
		if l.nth++; l.nth == 1 {
			l.verb = verbOf(w)
		}
		if runner(w) {
			l.runs()
		}
		f(w)
	}
}

// lexer walks one text. The zero verb means that the next word starts a
// statement.
type lexer struct {
	b         []byte
	at        int
	backslash bool
	class     Class
	verb      verb
	nth       int               // words seen in this statement
	before    []byte            // the word before this one
	routine   bool              // it is in a routine's body
	updates   bool              // the word UPDATE came
	enter     func(body []byte) // what is done with the body of a DO; nil: it is classified
}

// verb is a statement's first word, as far as what follows it matters.
type verb uint8

const (
	none verb = iota
	other
	set
	setSession
	setLocal
	setValue
	prepare
	create
	declare
	discard
	insert
	do
	finish // COMMIT, ROLLBACK
)

// verbs are the first words that are looked at, with what they mean by themselves.
var verbs = [...]struct {
	word  string
	verb  verb
	class Class
}{
	{"set", set, 0},
	{"insert", insert, 0},
	{"begin", other, Begins},
	{"start", other, Begins},
	{"declare", declare, 0},
	{"prepare", prepare, 0},
	{"create", create, 0},
	{"do", do, 0},
	{"reset", other, Resets | Frees},
	{"discard", discard, Resets | Frees},
	{"deallocate", other, Deallocates | Frees},
	{"listen", other, Listens},
	{"unlisten", other, Frees},
	{"close", other, Frees},
	{"drop", other, Defines | Frees},
	{"alter", other, Defines},
	{"import", other, Defines},
	{"load", other, Loads},
}

func verbOf(w []byte) verb {
	for i := range verbs {
		if is(w, verbs[i].word) {
			return verbs[i].verb
		}
	}
	return other
}

// see takes the next word of a statement into account.
func (l *lexer) see(w []byte) {
	if l.routine && l.opens() {
		l.verb, l.nth = none, 0
	}
	l.nth++
	if l.nth == 1 {
		l.begin(w)
	} else {
		l.follow(w)
	}
	l.anywhere(w)
	l.before = w
}

// opens reports whether the word before begins a list of statements, in a
// routine's body.
func (l *lexer) opens() bool {
	for _, b := range [...]string{"begin", "then", "else", "loop", "atomic"} {
		if is(l.before, b) {
			return true
		}
	}
	return false
}

// begin looks at a statement's first word.
func (l *lexer) begin(w []byte) {
	l.verb = other
	switch w[0] | 0x20 {
	case 'a', 'b', 'c', 'd', 'e', 'i', 'l', 'p', 'r', 's', 'u':
	default:
		return
	}
	if is(w, "commit") || is(w, "end") || is(w, "abort") || is(w, "rollback") {
		l.verb = finish
		l.class &^= Begins
		return
	}
	for i := range verbs {
		if v := &verbs[i]; is(w, v.word) {
			l.verb = v.verb
			l.class |= v.class
			break
		}
	}
	if l.routine { // its BEGIN is a block of another kind
		l.class &^= Begins
	}
}

// follow looks at a word after the first, where the first one asks for it.
func (l *lexer) follow(w []byte) {
	switch l.verb {
	case set, setSession, setLocal:
		l.setting(w)
	case setValue:
		if is(w, "default") {
			l.class |= Resets
		}
	case prepare:
		if !is(w, "transaction") { // two-phase commit leaves nothing in the session
			l.class |= Prepares
		}
		l.verb = other
	case create:
		if l.nth == 2 && !is(w, "temp") && !is(w, "temporary") && !is(w, "local") && !is(w, "global") {
			l.class |= Defines
		}
	case finish:
		if is(w, "to") || is(w, "chain") && !is(l.before, "no") {
			l.class |= Begins
		}
	case discard:
		if is(w, "all") {
			l.class |= Deallocates
		}
		l.verb = other
	case do: // DO LANGUAGE x: only PL/pgSQL can be read
		if !is(w, "language") && !is(w, "plpgsql") {
			l.class |= Unknown | Defines
		}
	}
}

// setting looks at what follows SET: reported parameters are tracked exactly by
// the server's own word, those of one transaction end with it, the rest is asked
// for.
func (l *lexer) setting(w []byte) {
	before := l.verb
	l.verb = setValue
	switch {
	case is(w, "seed"): // also SET LOCAL moves the generator
		l.class |= Seeds
		return
	case before == setLocal:
		return
	case before == set && is(w, "session"):
		l.verb = setSession
		return
	case before == set && is(w, "local"):
		l.verb = setLocal
		return
	case before == set && (is(w, "transaction") || is(w, "constraints")):
	case is(w, "standard_conforming_strings"):
		l.class |= Quotes
	case Reported(w), is(w, "time"), is(w, "names"):
	case is(w, "role"), is(w, "session_authorization"), before == setSession && is(w, "authorization"):
		l.class |= Roles | Frees
	default:
		l.class |= Sets
	}
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
		switch {
		case (is(w, "temp") || is(w, "temporary")) && l.makesTemp():
			l.class |= Temps
		case runner(w):
			l.runs()
		}
	case 'p':
		if begins(w, "pg_") {
			l.builtin(w)
		}
	case 's':
		switch {
		case is(w, "set_config"):
			l.config()
		case is(w, "set_limit"):
			l.class |= Sets
		case is(w, "setseed"):
			l.class |= Seeds
		}
	case 'l':
		if is(w, "lastval") {
			l.class |= Sequences
		}
	case 'c':
		switch {
		case is(w, "currval"):
			l.class |= Sequences
		case runner(w):
			l.runs()
		}
	case 'd':
		if begins(w, "dblink") {
			l.class |= Opens
		}
	case 'u':
		l.updates = l.updates || is(w, "update")
	case 'q':
		if runner(w) {
			l.runs()
		}
	case 'e':
		switch {
		case !is(w, "execute"):
		case l.routine: // text that is made up as it goes
			l.class |= Unknown
		default:
			l.class |= Executes
		}
	case 'h':
		if is(w, "hold") && is(l.before, "with") {
			l.class |= Holds
		}
	}
}

// runner reports whether a word is a function that runs its first argument as a
// query.
func runner(w []byte) bool {
	switch w[0] | 0x20 {
	case 'q':
		return begins(w, "query_to_xml")
	case 'c':
		return begins(w, "crosstab") || is(w, "connectby")
	case 't':
		return is(w, "ts_stat") || is(w, "ts_rewrite")
	}
	return false
}

// makesTemp reports whether TEMP stands where it makes a temporary object, and is
// not a table of that name.
func (l *lexer) makesTemp() bool {
	for _, b := range [...]string{"create", "replace", "local", "global"} {
		if is(l.before, b) {
			return true
		}
	}
	return is(l.before, "into") && l.verb != insert
}

// builtin looks at a word that begins with pg_.
func (l *lexer) builtin(w []byte) {
	switch {
	case begins(w, "pg_temp"):
		l.class |= Temps
	case is(w, "pg_settings") && l.updates: // a rule of it sets what is updated
		l.class |= Hides
	case begins(w, "pg_advisory_unlock"):
		l.class |= Unlocks | Frees
	case begins(w, "pg_advisory_xact"), begins(w, "pg_try_advisory_xact"):
	case begins(w, "pg_advisory"), begins(w, "pg_try_advisory"):
		l.class |= Locks
	case begins(w, "pg_create_"), begins(w, "pg_copy_"), begins(w, "pg_replication_origin_session"):
		l.class |= Opens
	}
}

// Writes reports whether a word may stand in a text that writes rows.
func Writes(w []byte) bool {
	for _, v := range [...]string{"insert", "update", "delete", "merge", "copy", "truncate", "into", "execute"} {
		if is(w, v) {
			return true
		}
	}
	return false
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
