package relay_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
)

// inMode makes a client of a mode, whose startup packet names an application; "":
// none.
func inMode(m relay.Mode, app string) func(*relay.Client) {
	return func(c *relay.Client) {
		c.Mode = m
		c.Told = slices.Clone(c.Told)
		for i := range c.Told {
			if app != "" && c.Told[i].Name == "application_name" {
				c.Told[i].Value = app
				c.Own = append(c.Own, c.Told[i])
			}
		}
	}
}

func TestSessionClientGetsNoSettingsOfOthers(t *testing.T) {
	r := newRig(t, 1)
	a := r.client()
	one(t, a, "set lock_timeout = '41s'")
	b := r.client(inMode(relay.Session, ""))
	require.Equal(t, "0", one(t, b, "show lock_timeout"))
}

func TestResetGivesReportedSettingsOfTheStartupPacketBack(t *testing.T) {
	for _, mode := range []relay.Mode{relay.Auto, relay.Transaction, relay.Statement, relay.Session} {
		for _, reset := range []string{"reset application_name", "reset all", "discard all"} {
			for _, first := range []string{"select 1", "set work_mem='7MB'"} {
				t.Run(fmt.Sprint(mode, reset, first), func(t *testing.T) {
					r := newRig(t, 1)
					a := r.client(inMode(mode, "mine"))
					one(t, a, first)
					one(t, a, reset)
					require.Equal(t, "mine", one(t, a, "show application_name"))
				})
			}
		}
	}
}

func TestAnswersStayWholeAfterReset(t *testing.T) {
	r := newRig(t, 1)
	a := r.client(inMode(relay.Session, "mine"))
	one(t, a, "reset application_name")
	for range 300 {
		_, err := try(a, "select repeat('x', 100000) from generate_series(1,10)")
		require.NoError(t, err)
	}
}

func TestResetAllRightBehindSet(t *testing.T) {
	for _, mode := range []relay.Mode{relay.Auto, relay.Transaction, relay.Statement, relay.Session} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			r := newRig(t, 1)
			a := r.seat(inMode(mode, ""))
			b := r.client()
			for i := range 20 {
				speak(t, a, 2, &pgproto3.Query{String: "set lock_timeout = '41s'"}, &pgproto3.Query{String: "reset all"})
				if mode != relay.Session {
					one(t, b, "select 1")
				}
				require.Contains(t, speak(t, a, 1, &pgproto3.Query{String: "show lock_timeout"}), "row 0", "round %d", i)
				speak(t, a, 1, &pgproto3.Query{String: "set lock_timeout = '41s'"})
				speak(t, a, 1, &pgproto3.Query{String: "reset all"})
				if mode != relay.Session {
					one(t, b, "select 1")
				}
				require.Contains(t, speak(t, a, 1, &pgproto3.Query{String: "show lock_timeout"}), "row 0", "round %d, apart", i)
			}
		})
	}
}

func TestSetAfterResetOfAReportedSetting(t *testing.T) {
	for _, name := range []string{"TimeZone", "timezone", "DateStyle"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			a, b := r.client(), r.client()
			one(t, a, "reset "+name)
			one(t, b, "select 1")
			value := map[string]string{"DateStyle": "German, DMY"}[name]
			if value == "" {
				value = "America/New_York"
			}
			one(t, a, "set "+name+" = '"+value+"'")
			one(t, b, "select 1")
			require.Equal(t, value, one(t, a, "show "+name))
		})
	}
}

func TestResetGivesTheStartupOptionBack(t *testing.T) {
	for _, reset := range []string{"reset work_mem", "reset all", "discard all"} {
		for _, mode := range []relay.Mode{relay.Auto, relay.Transaction, relay.Statement, relay.Session} {
			for _, between := range []bool{false, true} {
				for _, first := range []string{"select 1", "set work_mem = '7MB'", "set lock_timeout = '7s'"} {
					t.Run(reset+first, func(t *testing.T) {
						r := newRig(t, 1)
						a := r.client(func(c *relay.Client) { c.Mode, c.Set = mode, []relay.Param{{Name: "work_mem", Value: "11MB"}} })
						one(t, a, first)
						one(t, a, reset)
						if between && mode != relay.Session {
							one(t, r.client(), "select 1")
						}
						if got := one(t, a, "show work_mem"); got != "11MB" {
							t.Errorf("mode %v, between %v, %s, %s: %s", mode, between, first, reset, got)
						}
					})
				}
			}
		}
	}
}
