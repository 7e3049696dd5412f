package fleet_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

const (
	// mixedPool is the pool size of each tenant of the mixed load. Sessions take two
	// of a pool's servers, clients that keep theirs three: the others are shared.
	mixedPool, mixedKeepers = 8, 3
	// settled bounds how long what is left behind may stay.
	settled = 20 * time.Second
)

// mixedModes are the modes of each tenant's clients.
var mixedModes = func() (modes []string) {
	for mode, n := range map[string]int{"auto": 20, "transaction": 4, "statement": 4, "session": 2} {
		modes = append(modes, slices.Repeat([]string{mode}, n)...)
	}
	return modes
}()

// objectsSQL is what the visitors work with.
const objectsSQL = `
CREATE TABLE public.mixed (who text, n int, note text);
CREATE INDEX ON public.mixed (who);
CREATE FUNCTION public.mixed_work_mem(value text) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN PERFORM pg_catalog.set_config('work_mem', value, false); RETURN value; END $$;
GRANT ALL ON TABLE public.mixed TO PUBLIC;
GRANT EXECUTE ON FUNCTION public.mixed_work_mem TO PUBLIC`

// Everything that clients do, at once and over and over, in all modes, with TLS and
// without, and many vanish in the middle of it: nobody ever meets another's state or
// an error of another's making, and nothing stays behind.
func TestMixedLoadLeaksNothing(t *testing.T) {
	length, every := size(20*time.Second, 30*time.Minute), size(5*time.Second, time.Minute)
	warm := length / 6
	ctx, cancel := context.WithTimeout(t.Context(), length+4*time.Minute)
	defer cancel()
	r := serve(t, certified(t)...)
	look := r.console(ctx, t)
	var tenants []tenant
	for _, slug := range []string{"pt-campur-satu", "pt-campur-dua"} {
		tn := r.settle(ctx, t, client.NewTenant{Slug: slug, Plan: "BUSINESS", PoolSize: mixedPool})
		_, err := fleet.databases.connectTo(t, tn.Database).Exec(ctx, objectsSQL)
		require.NoError(t, err)
		tenants = append(tenants, tn)
	}
	m := &mixed{faults: map[string]int{}, plain: map[string]map[string]string{}}
	before, err := r.vitals(ctx)
	require.NoError(t, err)

	began := time.Now()
	for _, tn := range tenants {
		m.plain[tn.Slug] = plainSettings(ctx, t, tn.at(r))
	}
	working, stop := context.WithTimeout(ctx, length)
	defer stop()
	var all sync.WaitGroup
	for _, tn := range tenants {
		room := make(chan struct{}, mixedKeepers)
		for _, mode := range mixedModes {
			all.Go(func() { m.work(working, r, tn, mode, room) })
		}
	}
	history := m.report(working, t, r, began, every)
	stop()
	all.Wait()
	for what, n := range m.faults {
		t.Errorf("%d times: %s", n, what)
	}
	m.leftNothing(ctx, t, r, look, tenants)

	after, err := r.vitals(ctx)
	require.NoError(t, err)
	sessions, err := look.show(ctx, "SERVERS")
	require.NoError(t, err)
	t.Logf("%d visits, %d acts, %d vanished in the middle of something; the replica before: %s; after, with %d servers: %s",
		m.visits.Load(), m.done.Load(), m.gone.Load(), before, len(sessions), after)
	require.LessOrEqual(t, after.descriptors, before.descriptors+len(sessions), "descriptors")
	require.LessOrEqual(t, after.goroutines, before.goroutines+2, "goroutines")
	flat(t, history[int(warm/every):])
}

// mixed is the load. Safe for concurrent use.
type mixed struct {
	plain map[string]map[string]string // by tenant; not changed once there is load

	visits, done, gone atomic.Int64

	mu     sync.Mutex
	faults map[string]int
}

// plainSettings are those of a session in which nothing was set.
func plainSettings(ctx context.Context, t *testing.T, url string) map[string]string {
	t.Helper()
	plain := map[string]string{}
	for _, name := range settable {
		plain[name] = ""
	}
	v, err := visit(ctx, url, "session", nil, plain)
	require.NoError(t, err)
	defer hangUp(v.conn)
	for _, name := range settable {
		plain[name], err = v.ask(ctx, fmt.Sprintf("SELECT coalesce(current_setting('%s', true), '')", name))
		require.NoError(t, err)
	}
	return plain
}

// work is one client after another, until ctx ends.
func (m *mixed) work(ctx context.Context, r *replica, tn tenant, mode string, room chan struct{}) {
	for ctx.Err() == nil {
		m.visits.Add(1)
		n := visits.Load()
		if n%50 == 0 {
			halfALogin(r.broker)
		}
		url := tn.at(r)
		if n%3 == 0 {
			url = encrypted(url)
		}
		// Who has begun may finish: ctx ends between two acts.
		v, err := visit(context.WithoutCancel(ctx), url, mode, room, m.plain[tn.Slug])
		if err == nil {
			acts := 1 + v.IntN(60)
			var done int
			done, err = v.stay(context.WithoutCancel(ctx), acts, func(v *visitor) { pause(ctx, v.later(30*time.Millisecond)) })
			m.done.Add(int64(done))
			if v.conn == nil {
				m.gone.Add(1)
			}
		}
		if err != nil {
			m.mu.Lock()
			m.faults[err.Error()]++
			m.mu.Unlock()
			pause(ctx, time.Second)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func encrypted(connection string) string {
	return strings.Replace(connection, "sslmode=disable", "sslmode=require", 1)
}

// halfALogin is somebody who goes before they are in.
func halfALogin(address string) {
	if conn, err := net.Dial("tcp", address); err == nil {
		_, _ = conn.Write([]byte{0, 0, 0, 80, 0, 3, 0, 0, 'u', 's', 'e'})
		_ = conn.Close()
	}
}

// report logs a line each time, until ctx ends, and returns the mean memory of each
// time.
func (m *mixed) report(ctx context.Context, t *testing.T, r *replica, began time.Time, every time.Duration) (history []int64) {
	t.Helper()
	var sum, looks, acts int64
	line, glance := time.NewTicker(every), time.NewTicker(every/60)
	defer line.Stop()
	defer glance.Stop()
	for {
		select {
		case <-ctx.Done():
			return history
		case <-glance.C:
			now, err := r.resident()
			require.NoError(t, err)
			sum, looks = sum+now, looks+1
		case <-line.C:
			v, err := r.vitals(context.WithoutCancel(ctx))
			require.NoError(t, err)
			m.mu.Lock()
			faults := slices.Collect(maps.Keys(m.faults))
			m.mu.Unlock()
			done := m.done.Load()
			t.Logf("%s: mean of memory %.1f MiB; now %s; %d visits, %d acts (%d a second), %d vanished, %d kinds of faults",
				time.Since(began).Round(time.Second), mebibytes(sum/max(looks, 1)), v, m.visits.Load(), done,
				(done-acts)/int64(every/time.Second), m.gone.Load(), len(faults))
			history, sum, looks, acts = append(history, sum/max(looks, 1)), 0, 0, done
			if len(faults) > 50 { // it is known by now
				return history
			}
		}
	}
}

// flat requires that none of the means is further than a tenth from their median.
func flat(t *testing.T, means []int64) {
	t.Helper()
	if !*long { // the race detector's own memory grows
		return
	}
	median := slices.Sorted(slices.Values(means))[len(means)/2]
	for i, mean := range means {
		require.InDelta(t, median, mean, float64(median)/10, "memory, %d intervals after the warm-up: %v", i, means)
	}
}

// leftNothing waits until the replica and PostgreSQL have forgotten the clients, and
// looks at what every server is like then.
func (m *mixed) leftNothing(ctx context.Context, t *testing.T, r *replica, look console, tenants []tenant) {
	t.Helper()
	db := fleet.databases.connect(t)
	ctx, cancel := context.WithTimeout(ctx, settled)
	defer cancel()
	await(ctx, t, "an end of all transactions and locks", func() bool {
		var busy, locks int
		const sql = `SELECT count(*) FILTER (WHERE state <> 'idle'), (SELECT count(*) FROM pg_locks WHERE pid = ANY (array_agg(a.pid)))
			FROM pg_stat_activity a WHERE usename LIKE 't\_%'`
		require.NoError(t, db.QueryRow(ctx, sql).Scan(&busy, &locks))
		return busy == 0 && locks == 0
	})
	for _, tn := range tenants {
		await(ctx, t, "pools without clients", func() bool { return m.poolsAgree(ctx, t, look, db, tn) })
		require.NoError(t, allClean(ctx, tn.at(r), m.plain[tn.Slug]), tn.Slug)
		var rows int
		require.NoError(t, fleet.databases.connectTo(t, tn.Database).QueryRow(ctx, "SELECT count(*) FROM public.mixed WHERE note = 'never committed'").Scan(&rows))
		require.Zero(t, rows, "rows of those who vanished before they committed")
	}
}

// poolsAgree reports whether SHOW POOLS says of tn what PostgreSQL does: so many
// sessions, none of them in use.
func (m *mixed) poolsAgree(ctx context.Context, t *testing.T, look console, db *pgx.Conn, tn tenant) bool {
	t.Helper()
	pools, err := look.show(ctx, "POOLS")
	require.NoError(t, err)
	var sessions int
	const sql = `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = $2`
	require.NoError(t, db.QueryRow(ctx, sql, tn.Database, tn.role()).Scan(&sessions))
	idle := 0
	for _, pool := range of(pools, "database", tn.Slug) {
		for _, column := range []string{"cl_active", "cl_waiting", "sv_active", "sv_tested", "sv_being_canceled", "sv_login"} {
			if pool[column] != "0" {
				return false
			}
		}
		var n int
		_, err := fmt.Sscan(pool["sv_idle"], &n)
		require.NoError(t, err)
		idle += n
	}
	require.LessOrEqual(t, sessions, mixedPool)
	return idle == sessions
}

// allClean takes every server of a pool at once and looks for what others have left.
func allClean(ctx context.Context, url string, plain map[string]string) error {
	var hold []*visitor
	defer func() {
		for _, v := range hold {
			hangUp(v.conn)
		}
	}()
	for range mixedPool {
		v, err := visit(ctx, url, "session", nil, plain)
		if err != nil {
			return err
		}
		hold = append(hold, v)
		if err := v.look(ctx); err != nil {
			return err
		}
	}
	return nil
}
