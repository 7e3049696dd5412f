package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Change says that a row was changed. Entity is its table: tenants,
// credentials, logins, login_verifiers, login_grants, servers or plans; or "*",
// everything may have changed. EntityID is the id of the row, or of the tenant
// (credentials) or login (verifiers, grants) that it belongs to.
type Change struct {
	ID       int64
	Entity   string
	EntityID string
}

// OnChange calls f for each change, from one goroutine, after the cache has
// dropped what it concerns. A change can come twice. f must not block: changes
// behind it wait.
func (r *Registry) OnChange(f func(Change)) {
	r.observers.Lock()
	defer r.observers.Unlock()
	r.observers.all = append(r.observers.all, f)
}

const (
	// probeEvery is how often the channel is asked whether it still works; a half
	// open one is noticed after this and probeTimeout.
	probeEvery   = time.Second
	probeTimeout = time.Second
	// After a lost connection: first and longest pause.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	// trimEvery is how often changes older than an hour are deleted.
	trimEvery = 10 * time.Minute
)

const (
	listenSQL = `LISTEN dermaga_changes`
	// probeSQL returns every change of transactions from $1 on, and the oldest
	// transaction that is still running: the next probe starts there. Commits come
	// in another order than ids, so no id could be that mark. $2 is the newest
	// change seen; if it is gone, so may be others. One row at least.
	probeSQL = `
SELECT s.horizon, s.seen, c.id, c.entity, c.entity_id
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon,
        EXISTS (SELECT FROM dermaga.changes WHERE id = $2) AS seen) s
LEFT JOIN dermaga.changes c ON c.tx >= $1::text::xid8
ORDER BY c.id`
	newestSQL = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text, coalesce((SELECT max(id) FROM dermaga.changes), 0)`
	trimSQL   = `
DELETE FROM dermaga.changes
WHERE at < now() - interval '1 hour' AND id < (SELECT max(id) FROM dermaga.changes)`
)

// A listener follows the channel of changes over one connection after another.
// Owned by one goroutine.
type listener struct {
	r       *Registry
	started bool
	horizon uint64           // transactions before it have been seen in full
	newest  int64            // change seen
	seen    map[int64]uint64 // changes from horizon on → probe in which they were last met
	probes  uint64
	trimmed time.Time
}

// listen runs until ctx ends. The outcome of its first attempt goes to opened.
func (r *Registry) listen(ctx context.Context, opened chan<- error) {
	l := &listener{r: r, seen: map[int64]uint64{}, trimmed: time.Now()}
	pause := firstPause
	for {
		err := l.follow(ctx, func() {
			pause = firstPause
			select {
			case opened <- nil:
			default: // only the first attempt is waited for
			}
		})
		r.cache.listening.Store(false)
		if ctx.Err() != nil {
			return
		}
		if !l.started {
			opened <- err
			return
		}
		r.log.Warn("registry_channel_lost", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// follow opens a channel, catches up, and applies changes until the connection
// fails or ctx ends.
func (l *listener) follow(ctx context.Context, opened func()) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := l.catchUp(ctx, conn); err != nil {
		return err
	}
	if l.r.instance != nil {
		if err := l.r.instance.beat(ctx, conn, l.newest); err != nil {
			return err
		}
	}
	l.r.cache.listening.Store(true)
	l.r.log.Debug("registry_channel_open", "change", l.newest)
	opened()
	return l.watch(ctx, conn)
}

func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return pgx.ConnectConfig(ctx, l.r.pool.Config().ConnConfig)
}

// catchUp listens, and then reads what happened since the last channel broke: in
// this order, nothing falls between the two.
func (l *listener) catchUp(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, listenSQL); err != nil {
		return err
	}
	if l.started {
		return l.probe(ctx, conn, reconnected)
	}
	var horizon string
	if err := conn.QueryRow(ctx, newestSQL).Scan(&horizon, &l.newest); err != nil {
		return err
	}
	l.r.cache.seen.Store(l.newest)
	h, err := strconv.ParseUint(horizon, 10, 64)
	if err != nil {
		return err
	}
	l.horizon = h
	err = l.probe(ctx, conn, starting)
	l.started = err == nil
	return err
}

// An occasion is what a probe is for.
type occasion uint8

const (
	running     occasion = iota // every second: what no notification told
	reconnected                 // what happened while there was no channel
	starting                    // nothing is remembered yet: what is there is old
)

// watch applies notifications as they come and probes the channel in between.
func (l *listener) watch(ctx context.Context, conn *pgx.Conn) error {
	next := time.Now().Add(probeEvery)
	for {
		n, err := waitUntil(ctx, conn, next)
		switch {
		case err != nil:
			return err
		case n != nil:
			l.notified(n)
			if time.Now().Before(next) {
				continue
			}
		}
		if err := l.tick(ctx, conn); err != nil {
			return err
		}
		next = time.Now().Add(probeEvery)
	}
}

// waitUntil returns the next notification, or nil when it is time.
func waitUntil(ctx context.Context, conn *pgx.Conn, at time.Time) (*pgconn.Notification, error) {
	waitCtx, cancel := context.WithDeadline(ctx, at)
	defer cancel()
	n, err := conn.WaitForNotification(waitCtx)
	if err != nil && ctx.Err() == nil && waitCtx.Err() != nil && !conn.IsClosed() {
		return nil, nil
	}
	return n, err
}

// tick is what happens every probeEvery.
func (l *listener) tick(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := l.probe(ctx, conn, running); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if l.r.instance != nil && l.probes%heartbeatProbes == 0 {
		if err := l.r.instance.beat(ctx, conn, l.newest); err != nil {
			return err
		}
	}
	if time.Since(l.trimmed) > trimEvery {
		l.trimmed = time.Now()
		if _, err := conn.Exec(ctx, trimSQL); err != nil {
			return err
		}
	}
	return nil
}

// notified applies a notification.
func (l *listener) notified(n *pgconn.Notification) {
	ch, err := parseChange(n.Payload)
	if err != nil {
		l.r.log.Warn("registry_notification_odd", "error", err)
		l.everything()
		return
	}
	l.apply(ch)
}

// errPayload: the channel dermaga_changes carries something that we did not send.
var errPayload = errors.New("notification is not: id table entity")

func parseChange(payload string) (Change, error) {
	parts := strings.SplitN(payload, " ", 3)
	if len(parts) != 3 {
		return Change{}, errPayload
	}
	id, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return Change{}, errPayload
	}
	return Change{ID: id, Entity: parts[1], EntityID: parts[2]}, nil
}

// probe proves that the channel works, and applies changes whose notification
// did not come. After a reconnect that is all of the meantime; where it cannot
// be known any more (trimmed, or another server took over), everything counts as
// changed.
func (l *listener) probe(ctx context.Context, conn *pgx.Conn, at occasion) error {
	l.probes++
	rows, err := conn.Query(ctx, probeSQL, strconv.FormatUint(l.horizon, 10), l.newest)
	if err != nil {
		return err
	}
	type row struct {
		Horizon          string
		Seen             bool
		ID               *int64
		Entity, EntityID *string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return err
	}
	l.r.cache.note(nil)
	l.r.cache.counters.probes.Add(1)
	horizon, err := strconv.ParseUint(all[0].Horizon, 10, 64)
	if err != nil {
		return err
	}
	lost := at == reconnected && (!all[0].Seen || horizon < l.horizon)
	if lost {
		l.everything()
	}
	for _, x := range all {
		if x.ID == nil {
			continue // the row of an empty join
		}
		if lost || at == starting {
			l.remember(*x.ID)
		} else {
			l.apply(Change{ID: *x.ID, Entity: *x.Entity, EntityID: *x.EntityID})
		}
	}
	l.horizon = horizon
	for id, met := range l.seen {
		if met+2 < l.probes { // two probes on: its notification has long been read
			delete(l.seen, id)
		}
	}
	return nil
}

// apply lets the cache drop what ch concerns, and tells the observers, once.
func (l *listener) apply(ch Change) {
	if l.remember(ch.ID) {
		return
	}
	l.r.cache.drop(ch)
	l.tell(ch)
}

// remember reports whether the change was met before.
func (l *listener) remember(id int64) bool {
	_, before := l.seen[id]
	l.seen[id] = l.probes
	l.newest = max(l.newest, id)
	l.r.cache.seen.Store(l.newest)
	return before
}

func (l *listener) everything() {
	l.r.cache.doubt()
	l.tell(Change{ID: l.newest, Entity: "*", EntityID: "*"})
}

func (l *listener) tell(ch Change) {
	l.r.observers.Lock()
	all := l.r.observers.all
	l.r.observers.Unlock()
	for _, f := range all {
		f(ch)
	}
}
