package wire

import (
	"bytes"
	"strings"
)

// SetNames calls f with the name of each setting that sql sets, as the server
// calls it, and of each that it resets; with "" for RESET ALL. Settings whose
// names the text hides are not among them (Blind). backslash is as in Classify.
func SetNames(sql []byte, backslash bool, f func(name string)) {
	l := lexer{b: sql, backslash: backslash, enter: func(body []byte) { RoutineSetNames(body, f) }}
	l.setNames(f)
}

// RoutineSetNames is SetNames for the body of a routine.
func RoutineSetNames(body []byte, f func(name string)) {
	l := lexer{b: body, routine: true}
	l.setNames(f)
}

func (l *lexer) setNames(f func(name string)) {
	var name string
	for {
		w, ok := l.word()
		if !ok {
			return
		}
		if l.routine && l.opens() {
			l.verb, l.nth = none, 0
		}
		l.before = w
		switch {
		case is(w, "set_config"):
			if n, local, known := l.configured(); known && !local {
				f(n)
			}
		case runner(w):
			l.runs()
		case is(w, "set_limit"):
			f("pg_trgm.similarity_threshold")
		}
		if l.nth++; l.nth == 1 {
			l.verb, name = verbOf(w), ""
			if is(w, "reset") {
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
		name += folded(l.b, l.at, w)
		if l.at < len(l.b) && l.b[l.at] == '.' {
			name += "."
			continue
		}
		l.verb = other
		switch name {
		case "local", "transaction", "constraints", "time", "names", "authorization", "role", "seed":
		case "all":
			f("")
		case "schema":
			f("search_path")
		case "xml":
			f("xmloption")
		case "characteristics":
			f("default_transaction_isolation")
			f("default_transaction_deferrable")
			f("default_transaction_read_only")
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

// config looks at a call of set_config: with a name that the text shows it is
// like SET, and with is_local true it ends with its transaction.
func (l *lexer) config() {
	name, local, known := l.configured()
	switch {
	case strings.EqualFold(name, "seed"): // nothing brings the generator back
		l.class |= Seeds
	case local:
	case !known:
		l.class |= Hides | Blind
	case Reported([]byte(name)):
	case strings.EqualFold(name, "role"), strings.EqualFold(name, "session_authorization"):
		l.class |= Roles | Frees
	default:
		l.class |= Sets
	}
}

// configured reads the arguments of the set_config whose name was just passed: the
// setting's name if it is a plain constant, and whether the third says true.
func (l *lexer) configured() (name string, local, known bool) {
	args, n := l.arguments()
	if n == 0 {
		return "", false, false
	}
	name, known = constant(args[0])
	return name, n == 3 && isTrue(args[2]), known
}

// runs looks at a call of a function that runs its first argument as a query.
func (l *lexer) runs() {
	args, n := l.arguments()
	if n > 0 {
		if query := bytes.TrimSpace(args[0]); len(query) > 1 && query[0] == '\'' && query[len(query)-1] == '\'' {
			l.code(query[1 : len(query)-1])
			return
		}
	}
	l.class |= Hides
}

// arguments reads those of the function whose name was just passed, without moving
// on: the first three as they stand, and how many there are; 0 if they cannot be
// told.
func (l *lexer) arguments() (args [3][]byte, n int) {
	x := lexer{b: l.b, at: l.at, backslash: l.backslash}
	depth, start := 0, 0
	end := func() {
		if n < len(args) {
			args[n] = x.b[start:x.at]
		}
		n++
		start = x.at + 1
	}
	for x.at < len(x.b) {
		c := x.b[x.at]
		switch {
		case c == '(':
			if depth++; depth == 1 {
				start = x.at + 1
			}
		case c == ')' && depth == 1:
			end()
			return args, n
		case c == ')' && depth > 1:
			depth--
		case c == ',' && depth == 1:
			end()
		case depth == 0 && kind[c]&(letter|digit|mark) != 0 && c != '/' && c != '-', c == ')', c == ';':
			return args, 0
		case c == '\'' && kind[x.b[x.at-1]]&letter != 0: // E'', B'' and the like
			return args, 0
		case kind[c] == mark:
			x.mark(c)
			continue
		}
		x.at++
	}
	return args, 0
}

// constant is what a plain string constant says.
func constant(b []byte) (string, bool) {
	s := strings.TrimSuffix(strings.TrimSpace(string(b)), "::text") // as PostgreSQL itself writes them
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' || strings.ContainsAny(s[1:len(s)-1], `'\`) {
		return "", false
	}
	return s[1 : len(s)-1], true
}

func isTrue(b []byte) bool {
	s := strings.TrimSpace(string(b))
	return strings.EqualFold(s, "true") || strings.EqualFold(s, "'t'") || strings.EqualFold(s, "'true'")
}

// Command is what statements of a text do for all of a session. It is a set.
type Command uint8

// The commands that Commands knows.
const (
	Deallocate Command = 1 << iota // of one statement
	DeallocateAll
	DiscardAll
	ResetAll
)

// Commands finds DEALLOCATE, DISCARD ALL and RESET ALL among the statements of sql.
// rename is asked for each name that is deallocated, as it was given to PREPARE or
// in the protocol; text is sql with the names that it returns, nil if there are none.
func Commands(sql []byte, backslash bool, rename func(name string) (as string, ok bool)) (what Command, text []byte) {
	l := lexer{b: sql, backslash: backslash, enter: func([]byte) {}}
	done := 0 // what has been copied to text
	var first []byte
	for {
		w, ok := l.word()
		if !ok {
			break
		}
		quoted := l.at > 0 && sql[l.at-1] == '"'
		if l.nth++; l.nth == 1 {
			first, l.verb = w, other
			continue
		}
		all := !quoted && is(w, "all")
		switch {
		case l.verb == none || is(first, "deallocate") && l.nth == 2 && !quoted && is(w, "prepare"):
			continue
		case is(first, "discard") && all:
			what |= DiscardAll
		case is(first, "reset") && all:
			what |= ResetAll
		case is(first, "deallocate") && all:
			what |= DeallocateAll
		case is(first, "deallocate"):
			what |= Deallocate
			as, ok := rename(folded(sql, l.at, w))
			if !ok {
				break
			}
			start := l.at - len(w)
			if quoted {
				start -= 2
			}
			text = append(append(text, sql[done:start]...), as...)
			done = l.at
		}
		l.verb = none // of the statement, nothing else matters
	}
	if text != nil {
		text = append(text, sql[done:]...)
	}
	return what, text
}
