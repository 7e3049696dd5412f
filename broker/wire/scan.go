package wire

// Kinds of bytes for the scanner.
const (
	letter byte = 1 << iota // may start an identifier
	digit                   // may go on in one
	mark                    // starts something that is not a word: quote, comment, dollar, semicolon
)

var kind = func() (k [256]byte) {
	for c := range 256 {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c >= 0x80:
			k[c] = letter
		case '0' <= c && c <= '9':
			k[c] = digit
		case c == '\'', c == '"', c == '-', c == '/', c == '$', c == ';':
			k[c] = mark
		}
	}
	return k
}()

// word returns the next identifier or key word, without the quotes of a quoted
// one. Strings, comments and dollar quotes are passed over; a semicolon begins a
// new statement.
func (l *lexer) word() ([]byte, bool) {
	b := l.b
	for l.at < len(b) {
		switch c := b[l.at]; kind[c] {
		case letter:
			start := l.at
			for l.at++; l.at < len(b) && (kind[b[l.at]]&(letter|digit) != 0 || b[l.at] == '$'); l.at++ {
			}
			w := b[start:l.at]
			if l.at < len(b) && len(w) == 1 && b[l.at] == '\'' && w[0]|0x20 == 'e' {
				l.quotedCode(true)
				continue
			}
			if l.at+1 < len(b) && len(w) == 1 && w[0]|0x20 == 'u' && b[l.at] == '&' && (b[l.at+1] == '"' || b[l.at+1] == '\'') {
				l.class |= Unknown // an escaped name can be any name
			}
			return w, true
		case digit: // a number, and the letters that may hang on it
			for l.at++; l.at < len(b) && kind[b[l.at]]&(letter|digit) != 0; l.at++ {
			}
		case mark:
			if w, ok := l.mark(c); ok {
				return w, true
			}
		default:
			l.at++
		}
	}
	return nil, false
}

// mark passes over what begins with c; a quoted identifier is a word.
func (l *lexer) mark(c byte) ([]byte, bool) {
	b := l.b
	next := byte(0)
	if l.at+1 < len(b) {
		next = b[l.at+1]
	}
	switch {
	case c == ';':
		l.at++
		l.verb, l.nth, l.before = none, 0, nil
	case c == '\'':
		l.quotedCode(l.backslash)
	case c == '"':
		return l.quoted()
	case c == '-' && next == '-':
		for l.at < len(b) && b[l.at] != '\n' && b[l.at] != '\r' {
			l.at++
		}
	case c == '/' && next == '*':
		l.comment()
	case c == '$':
		l.dollar()
	default:
		l.at++
	}
	return nil, false
}

// quotedCode passes over a string constant. Behind DO or CREATE it is code, with
// its quotes doubled: what it sets cannot be told then, but that it does.
func (l *lexer) quotedCode(escapes bool) {
	start := l.at + 1
	l.text(escapes)
	if (l.verb == do || l.verb == create) && !l.routine {
		l.code(l.b[start:min(l.at, len(l.b))])
	}
}

// text passes over a string constant that begins at. A string with escapes that
// goes on after a newline keeps its escapes; rather than follow that rule, such
// a text sticks.
func (l *lexer) text(escapes bool) {
	b := l.b
	for l.at++; l.at < len(b); l.at++ {
		switch {
		case escapes && b[l.at] == '\\':
			l.at++
		case b[l.at] == '\'':
			if l.at+1 < len(b) && b[l.at+1] == '\'' {
				l.at++
				continue
			}
			l.at++
			if escapes && l.continues() {
				l.class |= Unknown
			}
			return
		}
	}
	l.at = len(b)
}

// continues reports whether another string follows after white space or comments.
func (l *lexer) continues() bool {
	for i := l.at; i < len(l.b); i++ {
		switch l.b[i] {
		case ' ', '\t', '\n', '\r', '\f', '\v':
		case '\'', '-':
			return true
		default:
			return false
		}
	}
	return false
}

// quoted returns what stands between double quotes. Nothing between them is no name.
func (l *lexer) quoted() ([]byte, bool) {
	start := l.at + 1
	for l.at = start; l.at < len(l.b); l.at++ {
		if l.b[l.at] == '"' {
			w := l.b[start:l.at]
			l.at++
			return w, len(w) > 0
		}
	}
	return nil, false
}

// comment passes over a comment; they nest.
func (l *lexer) comment() {
	depth := 0
	for l.at < len(l.b) {
		switch {
		case l.at+1 < len(l.b) && l.b[l.at] == '/' && l.b[l.at+1] == '*':
			depth++
			l.at += 2
		case l.at+1 < len(l.b) && l.b[l.at] == '*' && l.b[l.at+1] == '/':
			depth--
			l.at += 2
			if depth == 0 {
				return
			}
		default:
			l.at++
		}
	}
}

// dollar passes over a dollar-quoted string; $1 is a parameter. The one behind DO
// or CREATE is code.
func (l *lexer) dollar() {
	b, start := l.b, l.at
	i := start + 1
	for i < len(b) && (kind[b[i]] == letter || i > start+1 && kind[b[i]] == digit) {
		i++
	}
	if i >= len(b) || b[i] != '$' {
		l.at++
		return
	}
	tag := b[start : i+1]
	for i++; i+len(tag) <= len(b); i++ {
		if b[i] == '$' && string(b[i:i+len(tag)]) == string(tag) {
			l.at = i + len(tag)
			if (l.verb == do || l.verb == create) && !l.routine {
				l.code(b[start+len(tag) : i])
			}
			return
		}
	}
	l.at = len(b)
}

// code is the body of a DO, or of a routine that is being made.
func (l *lexer) code(body []byte) {
	if l.enter != nil {
		l.enter(body)
		return
	}
	c := ClassifyRoutine(body)
	if l.verb == do && c&Hides != 0 {
		c |= Defines
	}
	l.class |= c
}
