package relay

import "slices"

// due says what a server still owes: each entry ends with a ReadyForQuery, but
// for copyEnd, which only marks a place.
type due uint8

const (
	forQuery   due = iota // to a Query or FunctionCall of the client
	forSync               // to a Sync of the client
	forPrelude            // to a message of our own: nobody sees it
	copyEnd               // the client has ended a COPY that the server has not announced yet
)

// dues is the list of what a server owes, oldest first. Its memory is used again
// whenever it runs empty, which it does after every transaction.
type dues struct {
	list []due
	head int
}

func (d *dues) push(x due) { d.list = append(d.list, x) }

// precede puts a message of our own before all that the client sent.
func (d *dues) precede() { d.list = slices.Insert(d.list, d.head, forPrelude) }

// none reports whether nothing is owed.
func (d *dues) none() bool { return d.head == len(d.list) }

// prelude reports whether the next answer is to a message of our own.
func (d *dues) prelude() bool { return !d.none() && d.list[d.head] == forPrelude }

// ready takes the entry that a ReadyForQuery answers. It reports false when the
// server owed none. Marks that no COPY needed go with it.
func (d *dues) ready() (x due, ok bool) {
	d.marks()
	if d.none() {
		return 0, false
	}
	x = d.list[d.head]
	d.head++
	d.marks()
	return x, true
}

func (d *dues) marks() {
	for !d.none() && d.list[d.head] == copyEnd {
		d.head++
	}
	if d.none() {
		d.list, d.head = d.list[:0], 0
	}
}

// copyIn accounts for CopyInResponse and reports whether the end of the copy data
// is still to come. Until that end PostgreSQL ignores Sync (54.2.6), so in the
// extended protocol those sent before it are never answered; a COPY by a simple
// Query is answered as ever.
func (d *dues) copyIn() bool {
	if d.none() {
		return true
	}
	if d.list[d.head] == forQuery {
		for _, x := range d.list[d.head+1:] {
			if x == copyEnd {
				return false
			}
		}
		return true
	}
	for !d.none() {
		x := d.list[d.head]
		d.head++
		if x == copyEnd {
			return false
		}
	}
	d.marks()
	return true
}
