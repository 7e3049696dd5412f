package registry

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Change says that a row was changed. Entity is its table: tenants,
// credentials, logins, login_verifiers, login_grants, servers or plans; or "*",
// everything may have changed. EntityID is the id of the row, or of the tenant
// (credentials) or login (verifiers, grants) that it belongs to. "mark" concerns
// no row: somebody waits for it to be acknowledged (LastChange).
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
	newestSQL      = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text, coalesce((SELECT max(id) FROM dermaga.changes), 0)`
	trimChangesSQL = `
DELETE FROM dermaga.changes
WHERE at < now() - interval '1 hour' AND id < (SELECT max(id) FROM dermaga.changes)`
)

// An occasion is what a probe is for.
type occasion uint8

const (
	running     occasion = iota // every round: what no notification told
	reconnected                 // what happened while there was no channel
	starting                    // nothing is remembered yet: what is there is old
)

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
	if at == reconnected && (!all[0].Seen || horizon < l.horizon) {
		return l.beginAgain(ctx, conn)
	}
	for _, x := range all {
		if x.ID == nil {
			continue // the row of an empty join
		}
		if at == starting {
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
	l.r.takeBack(ch.ID)
	switch ch.Entity {
	case markEntity:
	case "servers":
		l.r.shares.next = time.Time{} // a budget may have changed
		l.r.bell.ring()
		fallthrough
	default:
		l.r.cache.drop(ch)
	}
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

// beginAgain takes what is there as old, and everything as changed.
func (l *listener) beginAgain(ctx context.Context, conn *pgx.Conn) error {
	clear(l.seen) // another server may give their ids again
	if err := l.begin(ctx, conn); err != nil {
		return err
	}
	l.everything()
	return nil
}

func (l *listener) everything() {
	l.r.doubtful.Store(l.newest)
	l.r.acked.Store(0)
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
