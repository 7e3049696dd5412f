package relay

import (
	"slices"
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// due says what a server still owes, by kind of answer.
type due uint8

const (
	// These end with a ReadyForQuery.
	forQuery   due = iota // to a Query or FunctionCall of the client
	forSync               // to a Sync of the client
	forPrelude            // to a message of our own: nobody sees it
	forAsk                // likewise, and its rows are for us
	forTidy               // likewise, also while no client has the server
	forScan               // likewise
	forWipe               // to a message of our own while no client has the server
	forCheck              // likewise

	// These are a ParseComplete or CloseComplete each.
	forParse  // to a Parse of the client
	forParsed // the client's Parse was not sent, since the server has the statement; a Close of nothing was
	forClose  // to a Close of the client
	forOurs   // to a Parse or Close of ours, for the client's sake: nobody sees it
	forError  // not that, but an error: the client sent a Parse or Bind that it may not

	forShape // a ParameterDescription: to a Describe of a prepared statement

	copyEnd // only a mark: the client has ended a COPY that the server has not announced yet
)

// ends reports whether the answer ends with a ReadyForQuery.
func (d due) ends() bool { return d <= forCheck }

// owed is one entry of dues; st and name are those of a prepared statement.
type owed struct {
	due
	st      *statement
	name    string
	instead *refusal          // what the client gets in the place of the error that is certain
	command command           // that has succeeded when a ReadyForQuery comes without an error
	settles bool              // a Close of nothing: what came before it in its batch has not failed
	ours    bool              // a Describe of the broker's own
	closes  bool              // a Close of st on the server
	epoch   uint64            // … of that name
	unnamed bool              // it makes the unnamed statement, or closes it
	open    bool              // a mark: its batch was open
	mine    bool              // client.unnamed before an unnamed Parse or Close, or a Query
	query   bool              // a Query: it destroys the unnamed statement
	before  *unnamedStatement // what it takes the place of, if that is not client.before
}

// refusal is an error of the broker's that takes the place of one of PostgreSQL's:
// that which comes at its place in the pipeline, with its code and about a name
// that the broker has made up. Any other error goes to the client as it is.
type refusal struct {
	wire.Fields
	code, about string
}

// is reports whether f is the error that r expects.
func (r *refusal) is(f wire.Fields) bool {
	return r != nil && f.Code == r.code && strings.Contains(f.Message, r.about)
}

// dues is the list of what a server owes, oldest first. Its memory is used again
// whenever it runs empty, which it does after every transaction.
type dues struct {
	list []owed
	head int
}

func (d *dues) push(x owed) { d.list = append(d.list, x) }

// fresh reports whether an earlier batch prepares st on the server, or closes it
// there, and has not been answered: the present one must not rely on it.
func (d *dues) fresh(st *statement) bool {
	return d.before(func(x *owed) bool { return x.concerns(st) })
}

// prepares reports whether st was sent to be prepared, and the answer has not come.
func (d *dues) prepares(st *statement) bool {
	for i := d.head; i < len(d.list); i++ {
		if d.list[i].makes(st) {
			return true
		}
	}
	return false
}

// concerns reports whether x is a Parse of st, or a Close of it on the server.
func (x *owed) concerns(st *statement) bool { return x.makes(st) || x.closes && x.st == st }

// makes reports whether x is a Parse of st.
func (x *owed) makes(st *statement) bool {
	return x.st == st && (x.due == forParse || x.due == forOurs && !x.closes)
}

// command is that of the oldest entry that ends with a ReadyForQuery; nil: there is
// no entry.
func (d *dues) command() *command {
	for i := d.head; i < len(d.list); i++ {
		if d.list[i].ends() {
			return &d.list[i].command
		}
	}
	return nil
}

// precede puts a message of our own before all that the client sent.
func (d *dues) precede() { d.list = slices.Insert(d.list, d.head, owed{due: forPrelude}) }

// none reports whether nothing is owed.
func (d *dues) none() bool { return d.head == len(d.list) }

// ours reports whether the next answer is to a message of our own.
func (d *dues) ours() bool {
	return d.head < len(d.list) && d.list[d.head].due >= forPrelude && d.list[d.head].due <= forCheck
}

// asked reports whether the rows of the next answer are for us.
func (d *dues) asked() bool {
	return d.head < len(d.list) && (d.list[d.head].due == forAsk || d.list[d.head].due == forScan)
}

// unsettled reports whether a batch before the present one has yet to tell what name
// is, which may be st: if it fails, its Parse or Close of either has not been.
func (d *dues) unsettled(name string, st *statement) bool {
	return d.before(func(x *owed) bool { return x.name != "" && x.name == name || st != nil && x.concerns(st) })
}

// unsettledAny is that for all names.
func (d *dues) unsettledAny() bool { return d.before(func(x *owed) bool { return x.name != "" }) }

// frees reports whether a command on its way frees name, or st by any name: if it
// fails, they are still there.
func (d *dues) frees(name string, st *statement) bool {
	for i := d.head; i < len(d.list); i++ {
		for aside, freed := range d.list[i].command.names {
			if aside == name || freed == st {
				return true
			}
		}
	}
	return false
}

// before reports whether a batch before the present one has an entry that is such.
func (d *dues) before(is func(x *owed) bool) bool {
	found := false
	for i := d.head; i < len(d.list); i++ {
		switch x := &d.list[i]; {
		case x.ends() && found:
			return true
		case !x.ends():
			found = found || is(x)
		}
	}
	return false
}

// unsettledUnnamed is that for the unnamed statement.
func (d *dues) unsettledUnnamed() bool {
	found, before := false, false
	for i := d.head; i < len(d.list); i++ {
		switch x := &d.list[i]; {
		case x.unnamed || x.before != nil: // also a Close of it, and a Query that may be skipped
			found, before = true, false
		case x.ends() && found:
			before = true
		}
	}
	return before
}

// redefines is the oldest entry that says what the unnamed statement is; nil: there
// is none.
func (d *dues) redefines() *owed {
	for i := d.head; i < len(d.list); i++ {
		if x := &d.list[i]; x.query || x.due == forParse && x.unnamed {
			return x
		}
	}
	return nil
}

// next is the oldest entry, marks aside.
func (d *dues) next() (x owed, ok bool) {
	for _, x := range d.list[d.head:] {
		if x.due != copyEnd {
			return x, true
		}
	}
	return owed{}, false
}

// endsCopy notes that the client ends a COPY that may yet be announced; open says
// that a batch has begun. Any other end of copy data is one that PostgreSQL ignores.
func (d *dues) endsCopy(open bool) {
	if open || !d.none() {
		d.push(owed{due: copyEnd, open: open})
	}
}

// ready takes the entry that a ReadyForQuery answers. It reports false when the
// server owed none. Marks that no COPY needed go with it: those behind a Query, those
// that came between two batches, and all when nothing else is left, unless a batch
// is open.
func (d *dues) ready(open bool) (x owed, ok bool) {
	for !d.none() && !ok {
		x = d.list[d.head]
		d.head++
		ok = x.ends()
	}
	for !d.none() && d.list[d.head].due == copyEnd && (x.due == forQuery || !d.list[d.head].open) {
		d.head++
	}
	if _, more := d.next(); !more && !open {
		d.head = len(d.list)
	}
	d.rewind()
	return x, ok
}

// complete takes the entry that a ParseComplete or CloseComplete answers.
func (d *dues) complete() (x owed, ok bool) {
	i := d.head
	for i < len(d.list) && d.list[i].due == copyEnd {
		i++
	}
	if i == len(d.list) || d.list[i].ends() {
		return owed{}, false
	}
	x = d.list[i]
	if x.settles { // no COPY is left for the marks before it
		d.head = i
	}
	copy(d.list[d.head+1:i+1], d.list[d.head:i])
	d.head++
	d.rewind()
	return x, true
}

// describe takes the entry that a ParameterDescription answers.
func (d *dues) describe() (x owed, ok bool) {
	if x, ok = d.next(); !ok || x.due != forShape {
		return owed{}, false
	}
	return d.complete()
}

// failed takes away what an error has made void, up to the next ReadyForQuery: in
// the extended protocol PostgreSQL skips to the Sync, also a Query before it. void
// is called for the newest first, to undo what was noted; oldest says that the error
// may be its own. goesOn says that the batch has no Sync yet.
func (d *dues) failed(void func(x owed, oldest bool)) (goesOn bool) {
	end := d.head
	for before := false; end < len(d.list); end++ { // before: something that may have failed
		x := &d.list[end]
		if x.ends() && (x.due != forQuery || !before) {
			break
		}
		goesOn = goesOn || x.ends()
		before = before || x.due != copyEnd
	}
	first := d.head
	d.head = end
	for i := end - 1; i >= first; i-- {
		void(d.list[i], i == first)
	}
	goesOn = d.none() && goesOn
	d.rewind()
	return goesOn
}

// rewind uses the memory again.
func (d *dues) rewind() {
	if d.none() {
		clear(d.list) // no statement is kept alive by it
		d.list, d.head = d.list[:0], 0
	}
}

// copyIn accounts for CopyInResponse. more says whether the end of the copy data is
// still to come. Until that end PostgreSQL ignores Sync (54.2.6), so in the extended
// protocol those sent before it are never answered, and their batch, if there were
// any, goes on; a COPY by a simple Query is answered as ever. What else comes before
// the end fails the COPY.
func (d *dues) copyIn() (more, goesOn bool, does command) {
	if x, ok := d.next(); ok && x.due == forQuery {
		for d.list[d.head].due == copyEnd { // before it, and for no COPY
			d.head++
		}
		if next := d.head + 1; next < len(d.list) && d.list[next].due == copyEnd { // there may be another COPY in it
			d.list = slices.Delete(d.list, next, next+1)
			return false, false, command{}
		}
		return true, false, command{}
	}
	for more = true; more && !d.none() && (d.list[d.head].due == forSync || d.list[d.head].due == copyEnd); {
		more = d.list[d.head].due == forSync
		if more {
			goesOn, does = true, d.list[d.head].command
		}
		d.head++
	}
	more = more && d.none()
	goesOn = goesOn && d.command() == nil // a later Sync ends it
	d.rewind()
	return more, goesOn, does
}
