package model_test

import (
	"bytes"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/wire"
)

// dialogue follows what PostgreSQL does with the messages of one connection, so
// that it is known which answers are still to come (PostgreSQL 18 manual, 54.2).
type dialogue struct {
	queue    []pgproto3.FrontendMessage // what it has not answered or passed over
	running  bool                       // a ReadyForQuery is to come
	open     bool                       // a batch that no Sync has ended
	skipping bool                       // an error came: nothing counts up to the Sync
	copying  bool                       // CopyInResponse came, and no end of the data
	simply   bool                       // … for a Query
	row      []byte                     // the beginning of a row of the data
	status   byte                       // of the last ReadyForQuery
	dying    bool                       // nothing more will come but the end
}

func newDialogue() *dialogue { return &dialogue{status: wire.Idle} }

// say notes what is sent.
func (d *dialogue) say(list []message) {
	for _, m := range list {
		d.queue = append(d.queue, m.FrontendMessage)
	}
}

// holds reports whether the connection is in the middle of something.
func (d *dialogue) holds() bool {
	return d.status != wire.Idle || d.open || d.copying || d.running || len(d.queue) > 0
}

// owed reports whether an answer must come before PostgreSQL can be asked for more.
func (d *dialogue) owed() bool {
	for {
		switch {
		case d.dying:
			return true
		case d.copying && len(d.queue) == 0:
			return false
		case d.copying:
			switch m := d.queue[0].(type) {
			case *pgproto3.CopyData:
				if d.bad(m.Data) {
					return true
				}
				d.row = d.row[1+bytes.LastIndexByte(d.row, '\n'):]
			case *pgproto3.Sync, *pgproto3.Flush:
			case *pgproto3.CopyDone:
				return d.simply || d.flushed()
			default:
				return true
			}
		case d.running:
			return true
		case len(d.queue) == 0:
			return false
		default:
			switch d.queue[0].(type) {
			case *pgproto3.Sync:
				d.running, d.open, d.skipping = true, false, false
			case *pgproto3.Query, *pgproto3.FunctionCall:
				if !d.skipping {
					d.running, d.open = true, false
				}
			case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail: // late: passed over
			case *pgproto3.Flush: // opens no batch
			default:
				d.open = true
				if !d.skipping {
					return d.flushed()
				}
			}
		}
		d.queue = d.queue[1:]
	}
}

// flushed reports whether what answers the first of the queue is sent at once.
func (d *dialogue) flushed() bool {
	return slices.ContainsFunc(d.queue[1:], func(m pgproto3.FrontendMessage) bool {
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Flush, *pgproto3.Query, *pgproto3.FunctionCall:
			return true
		}
		return false
	})
}

// bad reports whether data ends a row that is no number.
func (d *dialogue) bad(data []byte) bool {
	d.row = append(d.row, data...)
	rows := strings.Split(string(d.row), "\n")
	for _, r := range rows[:len(rows)-1] {
		if strings.Trim(r, "0123456789") != "" || r == "" {
			return true
		}
	}
	return false
}

// hear notes what answers, after owed has said that something must.
func (d *dialogue) hear(a answer) {
	switch a.kind() {
	case wire.Notice, 'A', wire.ParameterStatus:
		return
	case wire.CopyIn:
		d.copying, d.simply, d.row = true, d.running, nil
		if !d.running {
			d.queue = d.queue[1:] // the Execute
		}
		return
	}
	if a.kind() == wire.Error && wire.ParseError(a.body()).Severity == "FATAL" {
		d.dying = true
		return
	}
	switch {
	case d.copying && (a.kind() == wire.Error || a.kind() == complete):
		d.copying = false
		switch d.queue[0].(type) {
		case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		default: // it is not read to its end, so PostgreSQL ends the connection
			d.dying = true
		}
		d.queue = d.queue[1:]
		d.skipping = a.kind() == wire.Error && !d.simply
	case d.running:
		if a.kind() == wire.ReadyForQuery {
			d.running, d.status = false, a.body()[0]
		}
	case a.kind() == wire.Error:
		d.skipping = true
		d.queue = d.queue[1:]
	case slices.Contains([]byte{'1', '2', '3', 'T', 'n', complete, 'I', 's'}, a.kind()):
		d.queue = d.queue[1:]
	}
}

// complete is the kind of CommandComplete.
const complete = 'C'

// closers are what ends the connection's batch and COPY.
func (d *dialogue) closers() (list []message) {
	if d.copying {
		list = append(list, message{FrontendMessage: &pgproto3.CopyFail{Message: "the end"}})
	}
	if d.copying && !d.simply || d.open {
		list = append(list, synced)
	}
	return list
}

// harmless is list without an Execute of what a Query has left in the unnamed portal
// of a transaction that has failed: PostgreSQL 18 reads freed memory there, and may
// crash.
func (d *dialogue) harmless(list []message) []message {
	if d.status != wire.InFailed {
		return list
	}
	list = slices.Clone(list)
	bound := false
	for i, m := range list {
		switch x := m.FrontendMessage.(type) {
		case *pgproto3.Bind:
			bound = bound || x.DestinationPortal == ""
		case *pgproto3.Sync:
			bound = false
		case *pgproto3.Execute:
			if x.Portal == "" && !bound {
				list[i] = execute("p", x.MaxRows)
			}
		}
	}
	return list
}
