package console

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A clocked pooler has one pool whose traffic a test sets.
type clocked struct {
	Pooler
	traffic Traffic
}

func (p *clocked) Pools(context.Context) ([]Pool, error) {
	return []Pool{{Database: "pt-satu", User: "app", Traffic: p.traffic}}, nil
}

func TestAveragesAreOfTheLastPeriods(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	p := &clocked{}
	c := New(Config{Pooler: p, Now: func() time.Time { return now }})
	pass := func(d time.Duration, t Traffic) {
		now = now.Add(d)
		p.traffic.add(t)
	}
	averages := func() row {
		rows, err := showStatsAverages(t.Context(), c, nil)
		require.NoError(t, err)
		require.Equal(t, "pt-satu", rows[1][0])
		return rows[1][1:]
	}
	tick := func() {
		s, _, err := c.sample(t.Context())
		require.NoError(t, err)
		c.history.keep(s)
	}
	require.Equal(t, make12(0), averages(), "no time has passed")

	busy := Traffic{
		Assignments: 20, Transactions: 40, Queries: 80, Received: 1000, Sent: 2000,
		TransactionTime: 4 * time.Second, QueryTime: 2 * time.Second, WaitTime: time.Second,
		ClientParses: 10, ServerParses: 30, Binds: 50, Logins: 10,
	}
	pass(10*time.Second, busy)
	// A transaction took 100 ms, a query 25, and clients waited 100 ms in each second.
	want := row{int64(2), int64(4), int64(8), int64(100), int64(200), int64(100_000), int64(25_000), int64(100_000), int64(1), int64(3), int64(5), int64(1)}
	require.Equal(t, want, averages())

	pass(50*time.Second, Traffic{})
	tick()
	pass(time.Minute, Traffic{})
	tick()
	require.Equal(t, make12(0), averages(), "nothing happened for a whole period")
	pass(30*time.Second, busy)
	require.Equal(t, int64(0), averages()[1], "40 in 90 s")
	require.Equal(t, int64(100_000), averages()[5])
	require.Equal(t, int64(22), averages()[4], "2,000 in 90 s")
}

func make12(n int64) row {
	r := make(row, 12)
	for i := range r {
		r[i] = n
	}
	return r
}

func TestNumericsAreWhatPostgreSQLSends(t *testing.T) {
	for n, want := range map[int64][]byte{
		0:           {0, 0, 0, 0, 0, 0, 0, 0},
		1:           {0, 1, 0, 0, 0, 0, 0, 0, 0, 1},
		10_000:      {0, 1, 0, 1, 0, 0, 0, 0, 0, 1},
		100_000_001: {0, 3, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1},
		12_340_000:  {0, 1, 0, 1, 0, 0, 0, 0, 0x04, 0xd2},
	} {
		require.Equal(t, want, appendNumeric(nil, n), "%d", n)
	}
}
