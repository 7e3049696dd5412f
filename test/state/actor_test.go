package state_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// act is one thing that a client sends. Without a name it is a text: a statement
// of a Query, or a Parse with all that makes it run.
type act struct {
	text  string
	args  []string // bound, as text
	parse string   // name to prepare text as, not running it
	bind  string   // name of a prepared statement to run
	call  string   // signature of a function to call by its object id (FunctionCall), with args
	oid   uint32   // … the id
	copy  string   // copy data that goes with text
}

// step is what a client sends at one go: in the simple protocol one Query, else
// one batch up to its Sync. A pipeline is several steps before the first answer.
type step []act

// one is a step of texts.
func one(texts ...string) (s step) {
	for _, text := range texts {
		s = append(s, act{text: text})
	}
	return s
}

// actor is a client, direct or through the relay.
type actor struct {
	conn     *pgconn.PgConn
	extended bool
	reported map[string]string // parameters, as it was told
}

// watched are the parameters whose reports are compared. TimeZone and the like;
// not what belongs to the server.
var watched = []string{
	"application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "IntervalStyle", "is_superuser",
	"session_authorization", "standard_conforming_strings", "TimeZone",
}

func newActor(c *pgconn.PgConn, extended bool) *actor {
	a := &actor{conn: c, extended: extended, reported: map[string]string{}}
	for _, name := range watched {
		a.reported[name] = c.ParameterStatus(name)
	}
	return a
}

// leave ends the connection; what was on its way is lost.
func (a *actor) leave() { _ = a.conn.Close(context.Background()) }

// patience is how long an answer may take.
const patience = 10 * time.Second

// play sends step by step and returns what came back, a line for each step.
func (a *actor) play(steps ...step) []string {
	var heard []string
	for _, s := range steps {
		heard = append(heard, a.pipeline(s)...)
	}
	return heard
}

// pipeline sends all steps before it reads the first answer.
func (a *actor) pipeline(steps ...step) (heard []string) {
	_ = a.conn.Conn().SetDeadline(time.Now().Add(patience))
	f := a.conn.Frontend()
	ready := 0
	for _, s := range steps {
		ready += a.send(f, s)
	}
	if err := f.Flush(); err != nil {
		return []string{"lost: " + err.Error()}
	}
	var line []string
	for ready > 0 {
		m, err := f.Receive()
		if err != nil {
			return append(heard, strings.Join(append(line, "lost: "+err.Error()), " "))
		}
		if word := a.word(m); word != "" {
			line = append(line, word)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			heard, line, ready = append(heard, strings.Join(line, " ")), nil, ready-1
		}
	}
	return heard
}

// send puts a step in f's buffer and returns how many times the server will say
// that it is ready.
func (a *actor) send(f *pgproto3.Frontend, s step) (ready int) {
	if len(s) == 1 && s[0].oid != 0 {
		m := &pgproto3.FunctionCall{Function: s[0].oid}
		for _, v := range s[0].args {
			m.Arguments = append(m.Arguments, []byte(v))
		}
		f.Send(m)
		return 1
	}
	if !a.extended {
		var texts []string
		for _, x := range s {
			texts = append(texts, x.text)
		}
		f.Send(&pgproto3.Query{String: strings.Join(texts, "; ")})
		sendCopy(f, s)
		return 1
	}
	for _, x := range s {
		var bound [][]byte
		for _, v := range x.args {
			bound = append(bound, []byte(v))
		}
		if x.bind == "" {
			f.Send(&pgproto3.Parse{Name: x.parse, Query: x.text})
		}
		if x.parse != "" {
			continue
		}
		f.Send(&pgproto3.Bind{PreparedStatement: x.bind, Parameters: bound})
		f.Send(&pgproto3.Execute{})
	}
	f.Send(&pgproto3.Sync{})
	if sendCopy(f, s) { // the Sync before the copy data is not answered
		f.Send(&pgproto3.Sync{})
	}
	return 1
}

func sendCopy(f *pgproto3.Frontend, s step) bool {
	last := s[len(s)-1]
	if last.copy == "" {
		return false
	}
	f.Send(&pgproto3.CopyData{Data: []byte(last.copy)})
	f.Send(&pgproto3.CopyDone{})
	return true
}

// word is what a message says, without what differs from server to server.
func (a *actor) word(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.DataRow:
		var values []string
		for _, v := range m.Values {
			if v == nil {
				values = append(values, "NULL")
			} else {
				values = append(values, string(v))
			}
		}
		return "(" + strings.Join(values, ",") + ")"
	case *pgproto3.CommandComplete:
		return string(m.CommandTag) + ";"
	case *pgproto3.ErrorResponse:
		return "error " + m.Code
	case *pgproto3.CopyData:
		return fmt.Sprintf("copied %q", m.Data)
	case *pgproto3.FunctionCallResponse:
		return fmt.Sprintf("returned %q", m.Result)
	case *pgproto3.ReadyForQuery:
		return string(m.TxStatus)
	case *pgproto3.ParameterStatus:
		if _, ok := a.reported[m.Name]; ok {
			a.reported[m.Name] = m.Value
		}
	}
	return ""
}

// told is a copy of the parameters as a knows them.
func (a *actor) told() map[string]string { return maps.Clone(a.reported) }
