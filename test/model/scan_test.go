package model_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// scan reads a sequence as GoString writes it. Empty lines and what follows a # in
// the first place of a line are for people.
func scan(t testing.TB, text string) (s sequence) {
	for _, line := range strings.Split(text, "\n") {
		rest := strings.TrimSpace(line[min(1, len(line)):])
		switch {
		case line == "", line[0] == '#':
		case strings.HasPrefix(line, "servers "):
			_, err := fmt.Sscanf(line, "servers %d hooks %t", &s.servers, &s.hooks)
			require.NoError(t, err, line)
		default:
			if line[0] != ' ' {
				s.steps = append(s.steps, step{client: int(line[0] - 'a')})
			}
			s.steps[len(s.steps)-1].scan(t, rest)
		}
	}
	return s
}

// scan adds what a line says to the step.
func (s *step) scan(t testing.TB, line string) {
	if line == "vanishes" {
		s.vanish = true
		return
	}
	if cut, ok := strings.CutPrefix(line, "cut "); ok {
		var err error
		s.cut, err = strconv.Atoi(cut)
		require.NoError(t, err, line)
		return
	}
	line, pins := strings.CutSuffix(line, pinning)
	m := scanMessage(t, line)
	require.Equal(t, line, m.text(), "a line that says what it means")
	m.pins = pins
	s.messages = append(s.messages, m)
}

// words are the parts of a line.
type words struct {
	t    testing.TB
	rest string
}

func (w *words) word() string {
	word, rest, _ := strings.Cut(w.rest, " ")
	w.rest = rest
	return word
}

func (w *words) number() uint32 {
	n, err := strconv.ParseUint(w.word(), 10, 32)
	require.NoError(w.t, err, w.rest)
	return uint32(n)
}

func (w *words) quoted() string {
	q, err := strconv.QuotedPrefix(w.rest)
	require.NoError(w.t, err, w.rest)
	w.rest = strings.TrimPrefix(w.rest[len(q):], " ")
	s, err := strconv.Unquote(q)
	require.NoError(w.t, err, q)
	return s
}

// list is what stands between brackets.
func (w *words) list(one func()) {
	require.True(w.t, strings.HasPrefix(w.rest, "["), w.rest)
	w.rest = w.rest[1:]
	for !strings.HasPrefix(w.rest, "]") {
		one()
	}
	w.rest = strings.TrimPrefix(w.rest[1:], " ")
}

// numbers is a list of numbers.
func (w *words) numbers() (out []uint32) {
	inside, rest, ok := strings.Cut(strings.TrimPrefix(w.rest, "["), "]")
	require.True(w.t, ok, w.rest)
	w.rest = rest
	for _, f := range strings.Fields(inside) {
		n, err := strconv.ParseUint(f, 10, 32)
		require.NoError(w.t, err, inside)
		out = append(out, uint32(n))
	}
	return out
}

func scanMessage(t testing.TB, line string) message {
	w := &words{t, line}
	values := func() (out [][]byte) {
		w.list(func() { out = append(out, []byte(w.quoted())) })
		return out
	}
	var m pgproto3.FrontendMessage
	switch kind := w.word(); kind {
	case "Query":
		m = &pgproto3.Query{String: w.quoted()}
	case "Parse":
		m = &pgproto3.Parse{Name: w.quoted(), Query: w.quoted(), ParameterOIDs: w.numbers()}
	case "Bind":
		b := &pgproto3.Bind{DestinationPortal: w.quoted()}
		w.word() // to
		b.PreparedStatement, b.Parameters = w.quoted(), values()
		for _, n := range w.numbers() {
			b.ResultFormatCodes = append(b.ResultFormatCodes, int16(n))
		}
		m = b
	case "Describe":
		m = &pgproto3.Describe{ObjectType: w.word()[0], Name: w.quoted()}
	case "Close":
		m = &pgproto3.Close{ObjectType: w.word()[0], Name: w.quoted()}
	case "Execute":
		m = &pgproto3.Execute{Portal: w.quoted(), MaxRows: w.number()}
	case "CopyData":
		m = &pgproto3.CopyData{Data: []byte(w.quoted())}
	case "CopyFail":
		m = &pgproto3.CopyFail{Message: w.quoted()}
	case "CopyDone":
		m = &pgproto3.CopyDone{}
	case "FunctionCall":
		m = &pgproto3.FunctionCall{Function: w.number(), Arguments: values()}
	case "Sync":
		m = &pgproto3.Sync{}
	case "Flush":
		m = &pgproto3.Flush{}
	default:
		require.Fail(t, "no message", line)
	}
	return message{FrontendMessage: m}
}

// Sequences that were answered wrongly once, as they were reported, or stand for
// something that must not go wrong.
func TestSequencesThatWentWrongOnceAreRight(t *testing.T) {
	files, err := filepath.Glob("testdata/sequences/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	th := newTheatre(t, plant{})
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			s := scan(t, string(text))
			report, err := th.perform(s)
			require.NoError(t, err, report)
		})
	}
}
