package console

import (
	"context"
	"slices"
	"sync"
	"time"
)

// period is PgBouncer's stats_period: averages are taken over the last one to two
// of them, up to now.
const period = time.Minute

// history remembers what the totals were, for averages. Safe for concurrent use.
type history struct {
	mu           sync.Mutex
	older, newer sample
}

// A sample is the traffic of each database at one moment.
type sample struct {
	at time.Time
	of map[string]Traffic
}

func (h *history) keep(s sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.older, h.newer = h.newer, s
}

// before is the older sample.
func (h *history) before() sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.older
}

// Run takes the samples from which averages come, until ctx ends.
func (c *Console) Run(ctx context.Context) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now, _, err := c.sample(ctx); err == nil {
			c.history.keep(now)
		}
	}
}

// sample adds the pools of each database up; names are in order.
func (c *Console) sample(ctx context.Context) (s sample, names []string, err error) {
	pools, err := c.pools(ctx)
	if err != nil {
		return sample{}, nil, err
	}
	s = sample{at: c.now(), of: map[string]Traffic{}}
	for _, p := range pools {
		t, known := s.of[p.Database]
		if !known {
			names = append(names, p.Database)
		}
		t.add(p.Traffic)
		s.of[p.Database] = t
	}
	slices.Sort(names)
	return s, names, nil
}

// figures are the twelve totals in the order of every table of statistics, times
// in microseconds.
func (t Traffic) figures() row {
	return row{
		count(t.Assignments), count(t.Transactions), count(t.Queries), count(t.Received), count(t.Sent),
		t.TransactionTime.Microseconds(), t.QueryTime.Microseconds(), t.WaitTime.Microseconds(),
		count(t.ClientParses), count(t.ServerParses), count(t.Binds), count(t.Logins),
	}
}

// averages are the same since before: counts and waiting for each second, the
// times of transactions and queries for each of them.
func (t Traffic) averages(before Traffic, over time.Duration) row {
	now, then := t.figures(), before.figures()
	out := make(row, len(now))
	for i := range now {
		delta := max(now[i].(int64)-then[i].(int64), 0)
		out[i] = int64(0)
		if over > 0 {
			out[i] = int64(float64(delta) / over.Seconds())
		}
	}
	mean := func(now, then time.Duration, n uint64) int64 {
		if n == 0 {
			return 0
		}
		return max(now-then, 0).Microseconds() / int64(n)
	}
	out[5] = mean(t.TransactionTime, before.TransactionTime, t.Transactions-min(before.Transactions, t.Transactions))
	out[6] = mean(t.QueryTime, before.QueryTime, t.Queries-min(before.Queries, t.Queries))
	return out
}

// stats are rows of all databases, each with its name before what figures makes
// of its totals and averages.
func (c *Console) stats(ctx context.Context, figures func(totals, averages row) row) ([]row, error) {
	now, names, err := c.sample(ctx)
	if err != nil {
		return nil, err
	}
	before := c.history.before()
	var rows []row
	for _, name := range names {
		t := now.of[name]
		rows = append(rows, append(row{name}, figures(t.figures(), t.averages(before.of[name], now.at.Sub(before.at)))...))
	}
	return rows, nil
}

func showStats(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	return c.stats(ctx, func(totals, averages row) row { return append(totals, averages...) })
}

func showStatsTotals(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	return c.stats(ctx, func(totals, _ row) row { return totals })
}

func showStatsAverages(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	return c.stats(ctx, func(_, averages row) row { return averages })
}

// totalNames are the figures as SHOW TOTALS calls them, behind total_ and avg_.
var totalNames = []string{
	"server_assignment_count", "xact_count", "query_count", "client_bytes", "server_bytes",
	"xact_time", "query_time", "wait_time", "ps_client_parse_count", "ps_server_parse_count", "ps_bind_count", "client_login_count",
}

func showTotals(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	now, _, err := c.sample(ctx)
	if err != nil {
		return nil, err
	}
	before := c.history.before()
	var all, old Traffic
	for name, t := range now.of {
		all.add(t)
		old.add(before.of[name])
	}
	var rows []row
	for _, part := range []struct {
		prefix  string
		figures row
	}{{"total_", all.figures()}, {"avg_", all.averages(old, now.at.Sub(before.at))}} {
		for i, name := range totalNames {
			rows = append(rows, row{part.prefix + name, part.figures[i]})
		}
	}
	return rows, nil
}

// count is n as a value of a row.
func count[N int | uint64](n N) int64 { return int64(n) }
