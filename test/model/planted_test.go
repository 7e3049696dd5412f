package model_test

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/nusajournal/dermaga/broker/wire"
)

// The bugs of this file are made between the relay and its neighbours, who cannot
// tell who made them. Each must be found, or the property proves nothing.

// bound is the number of sequences within which a planted bug must be found. They
// take a hundred or fewer.
const bound = 2_000

// The client's SET is repeated behind its ROLLBACK TO, as if that had not undone it.
func TestStateThatSurvivesRollbackToIsFound(t *testing.T) {
	mustFind(t, plant{themes: []string{"transactions"}, server: func() between {
		var mu sync.Mutex
		var begun, saved bool // by a Query that did nothing else; with a savepoint
		var set string        // what was set last since then
		var repeated int      // rollbacks with a SET behind them
		var behind, at bool   // the last answer was ROLLBACK, and before that
		return between{
			up: func(m answer) answer {
				if m.kind() != wire.Query {
					return m
				}
				sql := strings.TrimSuffix(string(m.body()), "\x00")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case sql == "begin":
					begun, saved, set = true, false, ""
				case begun && sql == "savepoint a":
					saved = true
				case saved && strings.HasPrefix(sql, "set work_mem"):
					set = sql
				case saved && sql == "rollback to a" && set != "":
					repeated++
					return wire.AppendQuery(nil, sql+"; "+set)
				case sql == "commit", sql == "rollback", strings.Contains(sql, ";"):
					begun, saved, set = false, false, ""
				}
				return m
			},
			down: func(m answer) answer {
				behind, at = at, m.kind() == complete && string(m.body()) == "ROLLBACK\x00"
				mu.Lock()
				defer mu.Unlock()
				if m.kind() == wire.ReadyForQuery && m.body()[0] == wire.Idle {
					repeated = 0 // what was refused, since the transaction had failed before
				}
				if repeated > 0 && m.kind() == complete && string(m.body()) == "SET\x00" && behind {
					repeated--
					return nil
				}
				return m
			},
		}
	}})
}

// Of two ParseCompletes in a row, the client gets one.
func TestParseCompleteSwallowedOnceTooOftenIsFound(t *testing.T) {
	mustFind(t, plant{themes: all, client: func() between {
		var last byte
		return between{down: func(m answer) answer {
			again := last == wire.ParseComplete && m.kind() == wire.ParseComplete
			last = m.kind()
			if again {
				return nil
			}
			return m
		}}
	}})
}

// The relay is told that no transaction is open, and gives the server away. What
// the client is told of it is not looked at: it must be found by what comes of it.
func TestServerReleasedInATransactionIsFound(t *testing.T) {
	mustFind(t, plant{themes: all, blind: true, server: func() between {
		return between{down: func(m answer) answer {
			if m.kind() == wire.ReadyForQuery && m.body()[0] == wire.InTransaction {
				return wire.AppendReady(nil, wire.Idle)
			}
			return m
		}}
	}})
}

// mustFind fails unless the property does, and a sequence that p breaks is right
// without p.
func mustFind(t *testing.T, p plant) {
	set(t, "rapid.checks", fmt.Sprint(bound))
	set(t, "rapid.nofailfile", "true")
	set(t, "rapid.shrinktime", "3s")
	th := newTheatre(t, p)
	v := &verdict{name: t.Name()}
	rapid.Check(v, th.check)
	t.Log(v.log.String())
	require.True(t, v.failed, "not found in %d sequences", bound)
	require.NotContains(t, v.log.String(), "flaky", th.report)
	report, err := newTheatre(t, plant{}).perform(th.last)
	require.NoError(t, err, report)
}

// set sets a flag for the time of the test.
func set(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	before := f.Value.String()
	require.NoError(t, f.Value.Set(value))
	t.Cleanup(func() { require.NoError(t, f.Value.Set(before)) })
}

// verdict is what rapid says of a property.
type verdict struct {
	name   string
	failed bool
	log    strings.Builder
}

func (v *verdict) Helper()                           {}
func (v *verdict) Name() string                      { return v.name }
func (v *verdict) Logf(format string, args ...any)   { fmt.Fprintf(&v.log, format+"\n", args...) }
func (v *verdict) Log(args ...any)                   { fmt.Fprintln(&v.log, args...) }
func (v *verdict) Skipf(format string, args ...any)  { v.Logf(format, args...) }
func (v *verdict) Skip(args ...any)                  { v.Log(args...) }
func (v *verdict) SkipNow()                          {}
func (v *verdict) Errorf(format string, args ...any) { v.Logf(format, args...); v.Fail() }
func (v *verdict) Error(args ...any)                 { v.Log(args...); v.Fail() }
func (v *verdict) Fatalf(format string, args ...any) { v.Errorf(format, args...) }
func (v *verdict) Fatal(args ...any)                 { v.Error(args...) }
func (v *verdict) FailNow()                          { v.Fail() }
func (v *verdict) Fail()                             { v.failed = true }
func (v *verdict) Failed() bool                      { return v.failed }
