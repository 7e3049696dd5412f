package relay_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

// An imitation is a session of PostgreSQL as far as prepared statements, portals and
// transactions go, and errors skip to the Sync. It stands in for the server, and
// says what each client must be answered.
type imitation struct {
	statements, portals map[string]string // by name: the text
	skipping            bool
	status              byte
}

// inError is the state of a transaction that has failed.
const inError = 'E'

func imitate() *imitation {
	return &imitation{statements: map[string]string{}, portals: map[string]string{}, status: wire.Idle}
}

// answer is what PostgreSQL says to m.
func (s *imitation) answer(m pgproto3.FrontendMessage) []pgproto3.BackendMessage {
	if _, sync := m.(*pgproto3.Sync); s.skipping && !sync {
		return nil
	}
	switch m := m.(type) {
	case *pgproto3.Parse:
		if m.Name == "" { // whatever comes of it
			delete(s.statements, "")
		}
		switch _, taken := s.statements[m.Name]; {
		case m.Query == "wrong":
			return s.fail("42601", "syntax error")
		case s.status == inError:
			return s.aborted()
		case taken:
			return s.fail("42P05", fmt.Sprintf("prepared statement %q already exists", m.Name))
		}
		s.statements[m.Name] = strings.Clone(m.Query)
		return say(&pgproto3.ParseComplete{})
	case *pgproto3.Bind:
		text, known := s.statements[m.PreparedStatement]
		switch {
		case !known:
			return s.unknown(m.PreparedStatement)
		case s.status == inError:
			return s.aborted()
		}
		s.portals[m.DestinationPortal] = text
		return say(&pgproto3.BindComplete{})
	case *pgproto3.Describe:
		if m.ObjectType == 'S' {
			text, known := s.statements[m.Name]
			switch {
			case !known:
				return s.unknown(m.Name)
			case s.status == inError:
				return s.aborted()
			}
			return say(&pgproto3.ParameterDescription{}, row(text))
		}
		text, known := s.portals[m.Name]
		switch {
		case !known:
			return s.fail("34000", "no such portal")
		case s.status == inError:
			return s.aborted()
		}
		return say(row(text))
	case *pgproto3.Execute:
		text, known := s.portals[m.Portal]
		switch {
		case !known:
			return s.fail("34000", "no such portal")
		case s.status == inError:
			return s.aborted()
		}
		return s.run(text)
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			delete(s.statements, m.Name)
		} else {
			delete(s.portals, m.Name)
		}
		return say(&pgproto3.CloseComplete{})
	case *pgproto3.Sync:
		s.skipping = false
		return s.ready()
	case *pgproto3.Query:
		delete(s.statements, "")
		delete(s.portals, "")
		out := s.run(m.String)
		s.skipping = false
		return append(out, s.ready()...)
	}
	return nil // Flush
}

// run runs a text.
func (s *imitation) run(text string) []pgproto3.BackendMessage {
	what := strings.ToLower(text)
	switch {
	case what == "wrong":
		return s.fail("42601", "syntax error")
	case what == "rollback":
		s.status = wire.Idle
	case s.status == inError:
		return s.aborted()
	case what == "fail":
		return s.fail("22012", "division by zero")
	case what == "begin":
		s.status = wire.InTransaction
	case what == "discard all" && s.status != wire.Idle:
		return s.fail("25001", "DISCARD ALL cannot run inside a transaction block")
	case what == "discard all", what == "deallocate all":
		clear(s.statements)
		return say(&pgproto3.CommandComplete{CommandTag: []byte(strings.ToUpper(what))})
	case strings.HasPrefix(what, "deallocate "):
		name := strings.Trim(text[len("deallocate "):], `"`)
		if _, known := s.statements[name]; !known {
			return s.unknown(name)
		}
		delete(s.statements, name)
		return say(&pgproto3.CommandComplete{CommandTag: []byte("DEALLOCATE")})
	case strings.HasPrefix(text, "select "):
		return say(&pgproto3.DataRow{Values: [][]byte{[]byte(text)}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	}
	return say(&pgproto3.CommandComplete{CommandTag: []byte("DONE")})
}

func (s *imitation) fail(code, message string) []pgproto3.BackendMessage {
	s.skipping = true
	if s.status == wire.InTransaction {
		s.status = inError
	}
	return say(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message})
}

func (s *imitation) unknown(name string) []pgproto3.BackendMessage {
	if name == "" {
		return s.fail("26000", "unnamed prepared statement does not exist")
	}
	return s.fail("26000", fmt.Sprintf("prepared statement %q does not exist", name))
}

func (s *imitation) aborted() []pgproto3.BackendMessage {
	return s.fail("25P02", "current transaction is aborted")
}

func (s *imitation) ready() []pgproto3.BackendMessage {
	if s.status == wire.Idle {
		clear(s.portals)
	}
	return say(&pgproto3.ReadyForQuery{TxStatus: s.status})
}

func say(m ...pgproto3.BackendMessage) []pgproto3.BackendMessage { return m }

// row describes a row of one column, which is called as the text is.
func row(text string) *pgproto3.RowDescription {
	return &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte(text), DataTypeOID: 25}}}
}

// serve plays a session on conn until it ends.
func (s *imitation) serve(conn net.Conn) {
	defer conn.Close()
	b := pgproto3.NewBackend(conn, conn)
	for {
		m, err := b.Receive()
		if err != nil {
			return
		}
		for _, a := range s.answer(m) {
			b.Send(a)
		}
		if b.Flush() != nil {
			return
		}
	}
}

// A speaker is a client, and what it would be answered if it had a server to itself.
type speaker struct {
	conn   net.Conn
	front  *pgproto3.Frontend
	alone  *imitation
	unsent []pgproto3.FrontendMessage
}

// deliver sends what has been collected, all at once, and compares the answers.
func (s *speaker) deliver(t *testing.T) {
	t.Helper()
	if len(s.unsent) == 0 {
		return
	}
	if _, synced := s.unsent[len(s.unsent)-1].(*pgproto3.Sync); !synced {
		s.unsent = append(s.unsent, &pgproto3.Sync{})
	}
	var want []string
	for _, m := range s.unsent {
		for _, a := range s.alone.answer(m) {
			want = append(want, told(a))
		}
		s.front.Send(m)
	}
	sent := s.unsent
	s.unsent = nil
	_ = s.conn.SetDeadline(time.Now().Add(wait))
	if err := s.front.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < len(want) {
		m, err := s.front.Receive()
		if err != nil {
			t.Fatalf("%v after %q, not %q, to %s", err, got, want, listed(sent))
		}
		got = append(got, told(m))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("answered\n%q, not\n%q, to %s", got, want, listed(sent))
	}
}

// ours are names that only the broker may give: a client that guesses one is told that
// there is no statement "dermaga".
var ours = regexp.MustCompile(`"dermaga_[0-9_]*"`)

func told(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return m.Code + " " + ours.ReplaceAllString(m.Message, `"dermaga"`)
	case *pgproto3.DataRow:
		return "row " + string(m.Values[0])
	case *pgproto3.RowDescription:
		return "rows of " + string(m.Fields[0].Name)
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.ReadyForQuery:
		return "ready " + string(m.TxStatus)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

func listed(all []pgproto3.FrontendMessage) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "\n\t%T%+v", m, m)
	}
	return b.String()
}

// Two clients speak by turns to one server that keeps two statements at most, in
// pipelines of any messages: each is answered as if it had a server to itself, every
// message once and in order. A byte chooses a message, the next what it names.
func FuzzStatements(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 3 || len(script) > 400 {
			return
		}
		play(t, []relay.Mode{relay.Auto, relay.Transaction, relay.Session}[script[0]%3], script[1:])
	})
}

// play plays a script with two clients of that mode.
func play(t *testing.T, mode relay.Mode, script []byte) {
	var servers sync.WaitGroup
	defer servers.Wait()
	r, err := relay.Start(relay.Config{
		Loops: 1, QueryWait: wait, HoldWait: wait, MaxStatements: 2, LoginRetry: wait, CancelWait: wait,
		ServerIdle: time.Hour, ServerLifetime: time.Hour, TTL: time.Hour, Limits: &relaytest.Everyone{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Explain: func(r relay.Refusal, _ *relay.Target, _ string) wire.Fields {
			return wire.Fields{Code: "XX000", Message: refusal(r)}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		_ = r.Stop(ctx)
	}()
	target := &relay.Target{
		Key: "k", Tenant: "t", Greeting: "g", Slug: "s", Role: "r", PoolSize: 1,
		Dial: func(context.Context) (*relay.Server, error) {
			near, far := relaytest.Pair(t)
			servers.Go(func() { imitate().serve(far) })
			return &relay.Server{Conn: near, Params: []relay.Param{{Name: "standard_conforming_strings", Value: "on"}}}, nil
		},
		Cancel: func(context.Context, relay.BackendKey) error { return nil },
	}
	if mode == relay.Session { // each has its own
		target.PoolSize = 2
	}
	var all [2]*speaker
	for i := range all {
		near, far := relaytest.Pair(t)
		defer near.Close()
		toldAtLogin, err := r.Greeting(context.Background(), target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Add(relay.Client{Conn: far, Target: target, Mode: mode, Told: toldAtLogin, Ended: func() {}}); err != nil {
			t.Fatal(err)
		}
		all[i] = &speaker{conn: near, front: pgproto3.NewFrontend(near, near), alone: imitate()}
	}
	turn := func(who int) {
		other := all[1-who]
		if other.alone.status != wire.Idle && mode != relay.Session { // it has the server
			other.unsent = append(other.unsent, &pgproto3.Sync{}, &pgproto3.Query{String: "rollback"})
			other.deliver(t)
		}
		all[who].deliver(t)
	}
	for ; len(script) > 1; script = script[2:] {
		who := int(script[0]>>5) & 1 // lower and upper case
		if script[0]&31 == '.'&31 {
			turn(who)
			continue
		}
		if m := message(script[0]&31, script[1]); m != nil {
			all[who].unsent = append(all[who].unsent, m)
		}
	}
	turn(0)
	turn(1)
}

// message is the one that a letter and an argument stand for.
func message(letter, argument byte) pgproto3.FrontendMessage {
	name := []string{"", "a", "b", "dermaga_1_0"}[argument%4]
	text := []string{"select 1", "select 2", "select 3", "fail", "wrong"}[argument/4%5]
	switch letter | 64 {
	case 'P':
		return &pgproto3.Parse{Name: name, Query: text}
	case 'B':
		return &pgproto3.Bind{PreparedStatement: name}
	case 'D':
		return &pgproto3.Describe{ObjectType: 'S', Name: name}
	case 'W':
		return &pgproto3.Describe{ObjectType: 'P'}
	case 'E':
		return &pgproto3.Execute{}
	case 'C':
		return &pgproto3.Close{ObjectType: 'S', Name: name}
	case 'X':
		return &pgproto3.Close{ObjectType: 'P'}
	case 'F':
		return &pgproto3.Flush{}
	case 'S':
		return &pgproto3.Sync{}
	case 'Q':
		return &pgproto3.Query{String: text}
	case 'T':
		return &pgproto3.Query{String: "begin"}
	case 'R':
		return &pgproto3.Query{String: "rollback"}
	case 'U':
		return &pgproto3.Query{String: "deallocate " + []string{"all", "a", "b"}[argument%3]}
	case 'V':
		return &pgproto3.Query{String: "discard all"}
	}
	return nil
}
