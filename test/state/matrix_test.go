package state_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

// tally counts cells.
type tally struct {
	sync.Mutex
	cells, refused int
	impossible     map[string]int // by reason
}

func TestNoStateLeaksAndNoneIsLost(t *testing.T) {
	total := &tally{impossible: map[string]int{}}
	t.Run("kinds", func(t *testing.T) {
		for n, k := range kinds {
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				allWays(t, n, k, total)
			})
		}
	})
	t.Logf("%d cells; %d stories that PostgreSQL itself cuts short", total.cells, total.refused)
	for why, n := range total.impossible {
		t.Logf("%d that cannot be: %s", n, why)
	}
}

// allWays runs the cells of the n-th kind. Unless the tests are long, each way has
// one protocol, and that of its neighbours is the other.
func allWays(t *testing.T, n int, k kind, total *tally) {
	asSuper, url := database(t)
	role := app
	if k.super {
		url, role = asSuper, super
	}
	setUp, err := pgconn.Connect(context.Background(), asSuper)
	require.NoError(t, err)
	defer func() { _ = setUp.Close(context.Background()) }()
	g := &ground{t: t, kind: k, setUp: setUp, url: url, role: role, rigs: map[int]*relaytest.Rig{}, known: map[bool]*fixed{false: {}, true: {}}}
	all := ways
	if k.typical || *long && !k.variant {
		all = append(slices.Clone(ways), hidden...)
	}
	for i, w := range all {
		t.Run(w.name, func(t *testing.T) {
			r := &row{ground: g, t: t, name: w.name, plan: w.plan(k), objects: k.objects, rigs: g.rigs}
			if r.plan.objects != "" {
				r.objects, r.rigs = k.objects+";"+r.plan.objects, map[int]*relaytest.Rig{}
			}
			for _, extended := range []bool{false, true} {
				if *long || w.name == "plain" || k.protocol || extended == ((i+n)%2 == 0) || r.cannot(!extended) != "" {
					r.cells(extended, total)
				}
			}
		})
	}
}

// cells runs the cells of one protocol.
func (r *row) cells(extended bool, total *tally) {
	modes := []relay.Mode{relay.Auto, relay.Transaction, relay.Statement, relay.Session}
	if why := r.cannot(extended); why != "" {
		total.Lock()
		defer total.Unlock()
		total.impossible[why] += len(modes)
		return
	}
	known := r.known[extended]
	r.rebuild()
	r.resolve()
	want := r.truths(extended, known)
	if r.name == "plain" {
		known.plain = want.made
	}
	r.mustWork(want, total)
	for _, mode := range modes {
		if r.plan.fresh {
			r.rebuild()
		}
		c := &cell{r, mode, extended, want}
		var f faults
		switch mode {
		case relay.Auto:
			if f = c.alone(); c.pinned && len(f) == 0 && r.plan.objects == "" {
				f = c.beside()
			}
		case relay.Session:
			f = c.whole()
		default:
			f = c.brief(known.plain)
		}
		total.Lock()
		total.cells++
		total.Unlock()
		if len(f) > 0 {
			clear(r.rigs) // the next cell begins anew
			r.t.Errorf("%s, %s, %s: %s", r.kind.name, r.name, c, strings.Join(f, "; "))
		}
	}
}

// cannot says why there are no such cells.
func (r *row) cannot(extended bool) string {
	switch {
	case r.plan.impossible != "":
		return r.plan.impossible
	case r.kind.protocol && !extended:
		return noSimple
	}
	for _, s := range r.plan.steps {
		for _, a := range s {
			if !extended && (a.parse != "" || a.bind != "" || a.args != nil && a.call == "") {
				return noSimple
			}
		}
	}
	return ""
}

// refusals are those of PostgreSQL itself, without a relay, that belong to a kind
// and a way: the cell says only that the relay answers the same.
var refusals = map[string]struct{ code, reason string }{
	"search path, EXECUTE of a function":                       {"42883", "the path that EXECUTE plans with has lost the function"},
	"search path with impostors, EXECUTE of a function":        {"42883", "the path that EXECUTE plans with has lost the function"},
	"temporary replication slot, made, cleaned and made again": {"42710", "DISCARD ALL leaves the slot"},
}

// undoing are the ways that leave nothing of some kinds of state, or of all.
var undoing = []string{
	"made and discarded", "made and reset", "local", "local, bound", "DO that undoes it",
	"rolled back", "rolled back in a pipeline", "before ROLLBACK TO", "in a released savepoint of one that is rolled back",
	"a procedure that rolls back", "a function in a transaction that is rolled back", "cleaned in a transaction that is rolled back",
}

// mustWork fails when a direct connection refuses a step that no story wants
// refused, or makes no state: such a cell would prove nothing.
func (r *row) mustWork(want truth, total *tally) {
	r.t.Helper()
	steps := want.steps
	known := refusals[r.kind.name+", "+r.name]
	for _, line := range steps {
		for _, word := range strings.SplitAfter(line, "error ")[1:] {
			switch code := word[:5]; code {
			case r.plan.fails, "25P02":
			case known.code:
				total.Lock()
				total.refused++
				total.Unlock()
				return
			default:
				r.t.Errorf("%s, %s: refused without a relay: %q", r.kind.name, r.name, steps)
				return
			}
		}
	}
	if want.made.equal(want.fresh) && r.plan.fails == "" && !slices.Contains(undoing, r.name) {
		r.t.Errorf("%s, %s: nothing is made without a relay: %q", r.kind.name, r.name, steps)
	}
}
