package relay

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/poll"
)

// readSize is how much is read at once, in bytes: large enough that a COPY costs
// few calls, small enough to stay in a core's cache.
const readSize = 64 << 10

// maxLook is the largest message that is assembled in order to be looked at, in
// bytes. Larger ones stream through unread.
const maxLook = 64 << 10

// loop is one thread that relays: its poller, its clock, its pools. Everything
// in it is owned by its goroutine, but for box and done.
type loop struct {
	relay   *Relay
	cfg     *Config
	pressed *atomic.Bool // Limits.Pressed
	log     *slog.Logger
	poller  *poll.Poller
	box     mailbox
	done    chan struct{} // closed when the goroutine has ended

	events   []poll.Event
	slots    []slot
	free     []uint32 // slots to use again
	ready    []*conn  // have more to do than one turn allowed
	turn     []*conn  // ready of the turn under way
	buf      []byte   // what is read lands here, behind at most maxLook of a message begun
	scratch  []byte   // what is sent instead of what was read
	first    []byte   // a prelude and what follows it
	resumed  []byte   // what a client sent before it had to wait for an answer
	insert   []byte   // what goes before the message under way, or instead of it
	replaced bool     // … instead of it
	asked    bool     // … and it waits for an answer to that
	refused  bool     // what is still to come of the message goes nowhere
	sealed   []byte   // TLS records on their way out
	sets     interner
	clock    time.Time // of this turn

	tenants       int                  // homes given by Relay.tenant, under its mutex
	open          map[*Tenant]struct{} // hold a place or ask for one
	gates         map[*Tenant]struct{} // hold or end their clients
	clients       int
	serial        uint64 // of the newest client
	waiters       int    // clients in queues
	statements    map[statementKey]*statement
	lastStatement uint64 // id of the newest
	sweepAt       time.Time
	timesAt       time.Time     // when Times are looked at next
	timed         bool          // … and there is something to look for
	later         []func(*loop) // to be looked at with the next sweep
	draining      bool
	stopped       bool
}

// slot is a place for a connection. gen tells the present one from those before,
// since a descriptor closed in a batch of events may be used again in it.
type slot struct {
	gen  uint32
	conn *conn
}

func newLoop(r *Relay) (*loop, error) {
	p, err := poll.New()
	if err != nil {
		return nil, err
	}
	return &loop{
		relay: r, cfg: &r.cfg, pressed: r.cfg.Limits.Pressed(), log: r.cfg.Log, poller: p, box: mailbox{poller: p}, done: make(chan struct{}),
		events: make([]poll.Event, poll.MaxEvents), buf: make([]byte, maxLook+readSize),
		sets: newInterner(), clock: time.Now(), open: map[*Tenant]struct{}{}, gates: map[*Tenant]struct{}{}, statements: map[statementKey]*statement{},
	}, nil
}

// run is the loop's goroutine: wait, take the events, the mail, what was left
// over, and now and then the time-outs.
func (l *loop) run() {
	runtime.LockOSThread()
	defer close(l.done)
	for !l.stopped {
		n, woken, err := l.poller.Wait(l.events, l.timeout())
		if err != nil {
			l.log.Error("poll", "err", err)
			break
		}
		l.clock = time.Now()
		for i := range l.events[:n] {
			l.event(&l.events[i])
		}
		if woken {
			l.poller.Woken()
			for _, f := range l.box.take() {
				f(l)
			}
		}
		l.goOn()
		if !l.clock.Before(l.sweepAt) {
			l.sweep()
		}
	}
	l.quit()
	for _, f := range l.box.close() {
		f(l)
	}
	l.quit() // what the last mail brought
	_ = l.poller.Close()
}

// event notes what a socket can do, and does it.
func (l *loop) event(e *poll.Event) {
	c := l.find(e.Token)
	if c == nil {
		return
	}
	c.writable = c.writable || e.Writable
	c.ended = c.ended || e.Ended
	if e.Broken && c.asClient != nil {
		c.broken = true // nobody is there to read an answer; a server may have left a last word
	}
	if e.Readable {
		c.readable = true
		if c.tls != nil {
			c.tls.Readable(e.Ended)
		}
	}
	if len(c.out) > 0 && c.writable {
		l.flush(c)
	}
	l.serve(c)
}

// goOn serves those that one turn did not finish.
func (l *loop) goOn() {
	l.turn, l.ready = l.ready, l.turn[:0]
	for i, c := range l.turn {
		l.turn[i] = nil
		c.listed = false
		l.serve(c)
	}
	l.turn = l.turn[:0]
}

// again puts c on the list for the next turn.
func (l *loop) again(c *conn) {
	if !c.listed && !c.gone {
		c.listed = true
		l.ready = append(l.ready, c)
	}
}

func (l *loop) serve(c *conn) {
	defer l.survive(c)
	switch {
	case c.gone:
	case c.asClient != nil:
		l.serveClient(c.asClient)
	default:
		l.serveServer(c.asServer)
	}
}

// survive ends c and its pair after a panic, which is a bug: there is no state of
// theirs to trust, and the others' is untouched.
func (l *loop) survive(c *conn) {
	p := recover()
	if p == nil {
		return
	}
	l.log.Error("panic", "panic", p, "stack", string(debug.Stack()))
	l.insert, l.replaced, l.asked, l.refused = l.insert[:0], false, false, false
	cl, s := c.asClient, c.asServer
	if cl != nil {
		s = cl.server
	} else {
		cl = s.client
	}
	if s != nil {
		l.drop(s)
	}
	if cl != nil {
		cl.server = nil
		l.refuse(cl, ServerLost)
	}
}

// enter gives c a slot and registers its descriptor.
func (l *loop) enter(c *conn) error {
	if len(l.free) == 0 {
		l.slots = append(l.slots, slot{})
		l.free = append(l.free, uint32(len(l.slots)-1))
	}
	at := l.free[len(l.free)-1]
	c.slot = at
	if err := l.poller.Add(c.fd, poll.Token{Slot: at, Gen: l.slots[at].gen}); err != nil {
		return err
	}
	l.free = l.free[:len(l.free)-1]
	l.slots[at].conn = c
	return nil
}

// leave closes c's descriptor and frees its slot.
func (l *loop) leave(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	c.out, c.partial = nil, nil
	l.slots[c.slot].conn = nil
	l.slots[c.slot].gen++
	l.free = append(l.free, c.slot)
	poll.Close(c.fd)
}

// find returns the connection that t names, if it is still that one.
func (l *loop) find(t poll.Token) *conn {
	if int(t.Slot) >= len(l.slots) || l.slots[t.Slot].gen != t.Gen {
		return nil
	}
	return l.slots[t.Slot].conn
}
