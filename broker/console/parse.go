package console

import (
	"strings"
)

// A request is what a query asks for. The zero request is an empty query.
type request struct {
	verb  string // lower-case
	arg   string // "" when there was none; as typed
	value string // of SET
	text  string // the whole query
}

// Lengths, in bytes, beyond which PgBouncer calls arguments bad.
const (
	maxWord  = 63
	maxValue = 255
)

// parse reads one command:
//
//	VERB [word] [;]
//	SET word {= | TO} {word | 'string'} [;]
//
// A word is letters, digits and underscores, with hyphens between them since slugs
// have those, or anything in double quotes. Unlike PgBouncer it takes comments
// for white space, so that "-- ping" is an empty query.
func parse(text string) (request, *fault) {
	s := scanner{rest: text}
	tokens, ok := s.all()
	if !ok {
		return request{}, faultSyntax(text)
	}
	if n := len(tokens); n > 0 && tokens[n-1].kind == semicolon {
		tokens = tokens[:n-1]
	}
	if len(tokens) == 0 {
		return request{}, nil
	}
	r := request{verb: strings.ToLower(tokens[0].text), text: text}
	switch {
	case tokens[0].kind != word:
		return request{}, faultSyntax(text)
	case r.verb == "set" && len(tokens) == 4 && tokens[1].kind == word && tokens[1].text != "" && tokens[2].assigns() && (tokens[3].kind == word || tokens[3].kind == literal):
		r.arg, r.value = tokens[1].text, tokens[3].text
	case r.verb == "set":
		return request{}, faultSyntax(text)
	case len(tokens) == 1:
	case len(tokens) == 2 && tokens[1].kind == word:
		r.arg = tokens[1].text
	default:
		return request{}, faultSyntax(text)
	}
	if len(r.verb) > maxWord || len(r.arg) > maxWord || len(r.value) > maxValue {
		return request{}, faultArguments
	}
	return r, nil
}

// A token is a piece of a query, without its quotes.
type token struct {
	kind tokenKind
	text string
}

type tokenKind uint8

const (
	word tokenKind = iota
	literal
	equals
	semicolon
)

// assigns reports whether t stands between a setting and its value.
func (t token) assigns() bool {
	return t.kind == equals || t.kind == word && strings.EqualFold(t.text, "to")
}

// A scanner takes a query apart.
type scanner struct{ rest string }

// all returns the tokens; ok is false for what can be none.
func (s *scanner) all() (tokens []token, ok bool) {
	for {
		if !s.space() {
			return nil, false
		}
		if s.rest == "" {
			return tokens, true
		}
		t, ok := s.next()
		if !ok {
			return nil, false
		}
		tokens = append(tokens, t)
	}
}

// space skips white space and comments; ok is false when one does not end.
func (s *scanner) space() (ok bool) {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\n\r\f\v")
		switch {
		case strings.HasPrefix(s.rest, "--"):
			_, s.rest, _ = strings.Cut(s.rest, "\n")
		case strings.HasPrefix(s.rest, "/*"):
			if !s.comment() {
				return false
			}
		default:
			return true
		}
	}
}

// comment skips one that begins here; they nest.
func (s *scanner) comment() (ok bool) {
	depth := 0
	for {
		switch {
		case s.rest == "":
			return false
		case strings.HasPrefix(s.rest, "/*"):
			depth++
			s.rest = s.rest[2:]
		case strings.HasPrefix(s.rest, "*/"):
			depth--
			s.rest = s.rest[2:]
			if depth == 0 {
				return true
			}
		default:
			s.rest = s.rest[1:]
		}
	}
}

// next returns the token that begins here.
func (s *scanner) next() (t token, ok bool) {
	switch c := s.rest[0]; c {
	case '=':
		s.rest = s.rest[1:]
		return token{kind: equals}, true
	case ';':
		s.rest = s.rest[1:]
		return token{kind: semicolon}, true
	case '"':
		text, ok := s.quoted(c)
		return token{word, text}, ok
	case '\'':
		text, ok := s.quoted(c)
		return token{literal, text}, ok
	}
	n := 0
	for n < len(s.rest) && (wordByte(s.rest[n]) || n > 0 && s.rest[n] == '-' && n+1 < len(s.rest) && wordByte(s.rest[n+1])) {
		n++
	}
	t, s.rest = token{word, s.rest[:n]}, s.rest[n:]
	return t, n > 0
}

// quoted returns what stands in quotes, which are doubled to stand for themselves.
func (s *scanner) quoted(quote byte) (text string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		if s.rest[i] != quote {
			b.WriteByte(s.rest[i])
			continue
		}
		if i+1 < len(s.rest) && s.rest[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		s.rest = s.rest[i+1:]
		return b.String(), true
	}
	return "", false
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
