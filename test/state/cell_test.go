package state_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

// ground is what the cells of one kind share: a database, and a relay in front of
// it for all ways that need no objects of their own there.
type ground struct {
	t     *testing.T
	kind  kind
	setUp *pgconn.PgConn // as superuser
	url   string         // where clients log in
	role  string
	built string // the objects that are in place
	rigs  map[int]*relaytest.Rig
	known map[bool]*fixed // by protocol
}

// row is the cells of one kind and one way.
type row struct {
	*ground
	t       *testing.T
	name    string
	plan    plan
	objects string
	rigs    map[int]*relaytest.Rig // by pool size
	pinned  bool                   // A kept its server in mode auto
}

// view is what a connection sees: the answer to its look, and the parameters that
// it was told.
type view struct {
	look string
	told map[string]string
}

func (v view) String() string { return v.look }

func (v view) equal(w view) bool { return v.look == w.look && maps.Equal(v.told, w.told) }

// differ says in what v is not w.
func (v view) differ(w view) string {
	var out []string
	if v.look != w.look {
		out = append(out, fmt.Sprintf("sees %q, not %q", v.look, w.look))
	}
	for _, name := range watched {
		if v.told[name] != w.told[name] {
			out = append(out, fmt.Sprintf("was told %s %q, not %q", name, v.told[name], w.told[name]))
		}
	}
	return strings.Join(out, ", ")
}

// truth is what happens without a relay.
type truth struct {
	steps   []string
	made    view // A's, after the steps
	cleaned view // … and after it has cleaned up
	fresh   view // of a connection that was just opened
}

// rebuild puts the objects in place. Where the steps change them, a relay that
// knew those before would know too much.
func (r *row) rebuild() {
	r.t.Helper()
	if r.built == r.objects && !r.plan.fresh {
		return
	}
	r.built = r.objects
	if r.plan.fresh {
		clear(r.rigs)
	}
	sql := "set lock_timeout = '5s'; drop schema if exists public, own, evil cascade; create schema public; grant all on schema public to public; " + r.objects
	_, err := r.setUp.Exec(context.Background(), sql).ReadAll()
	require.NoError(r.t, err, r.objects)
}

// resolve gives the functions that are called by their object ids theirs.
func (r *row) resolve() {
	for _, s := range r.plan.steps {
		for i := range s {
			if s[i].call != "" {
				res := r.setUp.ExecParams(context.Background(), "select $1::regprocedure::oid", [][]byte{[]byte(s[i].call)}, nil, nil, nil).Read()
				require.NoError(r.t, res.Err)
				_, err := fmt.Sscan(string(res.Rows[0][0]), &s[i].oid)
				require.NoError(r.t, err)
			}
		}
	}
}

func (r *row) direct(extended bool) *actor {
	r.t.Helper()
	c, err := pgconn.Connect(context.Background(), r.url)
	require.NoError(r.t, err)
	return newActor(c, extended)
}

// client is a client of the pool of that size.
func (r *row) client(size int, mode relay.Mode, extended bool) *actor {
	r.t.Helper()
	if r.rigs[size] == nil {
		t := r.t
		if r.objects == r.kind.objects {
			t = r.ground.t
		}
		r.rigs[size] = relaytest.Start(t, relaytest.Options{URL: r.url, PoolSize: size, Target: func(t *relay.Target) { t.Role = r.role }})
	}
	return newActor(r.rigs[size].ClientIn(mode), extended)
}

// makes plays the steps.
func (r *row) makes(a *actor) []string {
	if r.plan.pipelined {
		return a.pipeline(r.plan.steps...)
	}
	return a.play(r.plan.steps...)
}

func (r *row) sees(a *actor) view {
	look := strings.Join(a.play(r.kind.eyes()), "")
	return view{look, a.told()}
}

// fixed is what is the same in all ways to make one kind.
type fixed struct {
	fresh view // of a connection that was just opened
	plain view // of one that has made the state the plain way
}

// truths plays the story without a relay.
func (r *row) truths(extended bool, known *fixed) (w truth) {
	if known.fresh.told == nil {
		b := r.direct(extended)
		known.fresh = r.sees(b)
		b.leave()
	}
	a := r.direct(extended)
	defer a.leave()
	w.fresh = known.fresh
	w.steps = r.makes(a)
	w.made = r.sees(a)
	a.play(one(r.kind.clean))
	w.cleaned = r.sees(a)
	return w
}

// cell is one story.
type cell struct {
	*row
	mode     relay.Mode
	extended bool
	truth    truth
}

func (c *cell) String() string {
	if c.extended {
		return c.mode.String() + ", extended"
	}
	return c.mode.String() + ", simple"
}

// waiting is a look that may have to wait for a server.
type waiting chan view

func (c *cell) looks(a *actor) waiting {
	w := make(waiting, 1)
	go func() { w <- c.sees(a) }()
	return w
}

// tell is how long the relay may take to give a free server to a client that
// waits.
const tell = 5 * time.Second

// settle waits until w has its answer, or until a pin keeps it from one.
func (c *cell) settle(w waiting, size int) (v view, pins []string) {
	for late := time.Now().Add(tell); ; {
		select {
		case v = <-w:
			return v, nil
		case <-time.After(200 * time.Microsecond):
		}
		if time.Now().After(late) {
			return view{}, []string{"no pin"}
		}
		rig := c.rigs[size]
		if pins := rig.Pins(); len(pins) > 0 && rig.Pool().Waiting > 0 {
			return view{}, pins
		}
	}
}

// answer waits for w's answer, which nothing may keep from it.
func (c *cell) answer(w waiting) (view, bool) {
	select {
	case v := <-w:
		return v, true
	case <-time.After(tell):
		return view{}, false
	}
}

// faults collects what went wrong.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// leak notes that a client who is not A sees what it should not.
func (f *faults) leak(who string, got view, c *cell) {
	if !got.equal(c.truth.fresh) {
		f.add("LEAK: %s %s", who, got.differ(c.truth.fresh))
	}
}

// loss notes that A does not see what it should.
func (f *faults) loss(when string, got, want view, c *cell) {
	if got.equal(want) || c.kind.loses != "" && got.look == c.kind.loses {
		return
	}
	if c.kind.nameless && c.plan.hides && got.look == c.truth.fresh.look { // a published exception
		return
	}
	f.add("LOSS: A, %s, %s", when, got.differ(want))
}

// excused reports whether steps differ from the truth by a published exception
// only.
func (c *cell) excused(steps []string) bool {
	return c.kind.loses != "" && slices.EqualFunc(steps, c.truth.steps, func(got, want string) bool {
		return got == want || got == c.kind.loses || strings.TrimRight(got, "ITE") == "error 55000 "
	})
}

// alone is the story on one server, in a mode that promises A its state.
func (c *cell) alone() (f faults) {
	a, b := c.client(1, c.mode, c.extended), c.client(1, c.mode, c.extended)
	defer b.leave()
	defer a.leave()
	if steps := c.makes(a); !slices.Equal(steps, c.truth.steps) && !c.excused(steps) {
		f.add("ANSWERS: %q, not %q", steps, c.truth.steps)
	}
	w := c.looks(b)
	for _, who := range []string{"B", "B again"} {
		saw, pins := c.settle(w, 1)
		c.pinned = len(pins) > 0
		if c.pinned {
			break
		}
		f.leak(who, saw, c)
		f.loss("after "+who, c.sees(a), c.truth.made, c)
		w = c.looks(b)
	}
	if c.pinned {
		f.loss("while B waits", c.sees(a), c.truth.made, c)
	}
	c.frees(a)
	saw, ok := c.given(w, a, 1)
	if !ok {
		f.add("STUCK: B has no server after A has cleaned up: %q", c.rigs[1].Pins())
		return f
	}
	f.leak("B after A", saw, c)
	if !c.kind.unseen {
		f.loss("after cleaning", c.sees(a), c.truth.cleaned, c)
	}
	return f
}

// frees has A clean up. Where nothing would show that the state is gone, the
// server is free when A has left.
func (c *cell) frees(a *actor) {
	a.play(one(c.kind.clean))
	if c.kind.unseen {
		a.leave()
	}
}

// given waits for w's answer. A setting whose name nobody could know is known to
// be gone only after DISCARD ALL.
func (c *cell) given(w waiting, a *actor, size int) (view, bool) {
	v, pins := c.settle(w, size)
	if len(pins) == 0 {
		return v, true
	}
	if slices.Contains(pins, "custom setting") && !c.kind.unseen {
		a.play(one("discard all"))
	}
	return c.answer(w)
}

// beside is the story on two servers, of which A keeps one.
func (c *cell) beside() (f faults) {
	a, b, third := c.client(2, c.mode, c.extended), c.client(2, c.mode, c.extended), c.client(2, c.mode, c.extended)
	defer third.leave()
	defer b.leave()
	defer a.leave()
	c.makes(a)
	saw, ok := c.answer(c.looks(b))
	if !ok {
		f.add("STUCK: B has no server though one is left")
		return f
	}
	f.leak("B beside A", saw, c)
	f.loss("beside B", c.sees(a), c.truth.made, c)
	c.frees(a)
	b.play(one("begin")) // the other server
	if saw, ok = c.given(c.looks(third), a, 2); ok {
		f.leak("a third client", saw, c)
	} else {
		f.add("STUCK: a third client has no server after A has cleaned up: %q", c.rigs[2].Pins())
	}
	b.play(one("commit"))
	return f
}

// whole is the story of a session: A has its server until it leaves.
func (c *cell) whole() (f faults) {
	a, b := c.client(1, c.mode, c.extended), c.client(1, c.mode, c.extended)
	defer b.leave()
	defer a.leave()
	if steps := c.makes(a); !slices.Equal(steps, c.truth.steps) && !c.excused(steps) {
		f.add("ANSWERS: %q, not %q", steps, c.truth.steps)
	}
	w := c.looks(b)
	f.loss("in its session", c.sees(a), c.truth.made, c)
	a.leave()
	saw, ok := c.answer(w)
	if !ok {
		f.add("STUCK: B has no server after A's session")
	}
	f.leak("B after A's session", saw, c)
	return f
}

// brief is the story in a mode where state that cannot be carried ends with its
// transaction.
func (c *cell) brief(plain view) (f faults) {
	a, b := c.client(1, c.mode, c.extended), c.client(1, c.mode, c.extended)
	defer b.leave()
	defer a.leave()
	steps := c.makes(a)
	first := slices.IndexFunc(c.truth.steps, func(line string) bool { return strings.HasSuffix(line, "I") }) // the end of a transaction
	if c.plan.tooLong {
		if !slices.Equal(steps, []string{"error XX000 I"}) {
			f.add("NOT REFUSED: %q", steps)
		}
	} else if c.mode == relay.Transaction && c.kind.loses == "" && !slices.Equal(steps[:min(len(steps), first+1)], c.truth.steps[:first+1]) {
		f.add("ANSWERS: %q, not %q", steps, c.truth.steps)
	}
	// Of state that has two parts one may be carried and the other not.
	may := []view{c.truth.made, c.truth.fresh, {c.truth.fresh.look, c.truth.made.told}}
	if c.mode == relay.Statement && c.plan.block {
		if slices.ContainsFunc(steps, func(line string) bool { return strings.HasSuffix(line, " T") || strings.HasSuffix(line, " E") }) {
			f.add("BLOCK: %q", steps)
		}
		may = append(may, plain, c.truth.cleaned) // each statement was on its own
	}
	for range 2 {
		saw, ok := c.answer(c.looks(b))
		if !ok {
			f.add("STUCK: B has no server")
			return f
		}
		f.leak("B", saw, c)
		if saw := c.sees(a); !slices.ContainsFunc(may, saw.equal) && saw.look != c.kind.loses {
			f.add("LOSS: A %s, and not %q either", saw.differ(c.truth.fresh), c.truth.made.look)
		}
	}
	return f
}
