package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Acknowledge says that everything which the changes up to this one ask for has
// happened in this process: its clients are held, or gone. It is for the broker
// (Config.Broker); other instances read it as Instance.SeenChange at once. It
// does not block and may be called from an observer.
//
// Every change must be acknowledged, also one that concerns nobody here, and
// after the first OnChange the newest one so far (Stats().SeenChange). Changes
// come in the order in which they were committed, which is not always that of
// their ids: what is acknowledged is the greatest id told below which nothing is
// left to do. An observer that hears a smaller id than one acknowledged before
// acknowledges that one again when it is done. Entity "*" stands for any number
// of changes: until its own id is acknowledged, nothing is.
func (r *Registry) Acknowledge(change int64) {
	for {
		had := r.acked.Load()
		if change <= had || change < r.doubtful.Load() {
			return
		}
		if r.acked.CompareAndSwap(had, change) {
			break
		}
	}
	r.bell.ring()
}

// takeBack makes an acknowledgement stop before a change that is told only now.
func (r *Registry) takeBack(change int64) {
	for {
		had := r.acked.Load()
		if change > had || r.acked.CompareAndSwap(had, change-1) {
			return
		}
	}
}

// markEntity is the entity of a change that nothing was changed for.
const markEntity = "mark"

const (
	markSQL = `
WITH mark AS (INSERT INTO dermaga.changes (entity, entity_id) VALUES ('mark', '*') RETURNING id)
SELECT id, pg_notify('dermaga_changes', id || ' mark *')::text FROM mark`
	// lateSQL finds those that relay and have not acknowledged a change, with
	// those that are silent for longer than a live one would be, but not for so
	// long that nothing can be left of them.
	lateSQL = `
SELECT ` + instanceColumns + `
FROM dermaga.instances i
WHERE i.broker AND i.seen_change < $1 AND dermaga.heard(i.heartbeat_at) > clock_timestamp() - interval '10 seconds'
ORDER BY i.started_at, i.id`
)

// lookEvery is how often WaitSeen looks. An instance acknowledges within some
// milliseconds; a wait is rare and short.
const lookEvery = 20 * time.Millisecond

// LastChange returns a change that stands behind everything committed by now: it
// announces one of entity "mark", which asks for nothing but to be acknowledged.
// The newest id in the table would not do: a smaller one may be committed later.
func (r *Registry) LastChange(ctx context.Context) (change int64, err error) {
	err = r.pool.QueryRow(ctx, markSQL).Scan(&change, nil)
	return change, explain("mark the last change", err)
}

// WaitSeen waits until every live instance that relays has acknowledged change,
// or until ctx ends. late are those that have not: whoever needs certainty
// fences them at PostgreSQL. Instances that fell silent in the last ten seconds
// are not waited for, but if they have not acknowledged they are late: they may
// be stopped and go on. An error means that the registry did not answer; the end
// of ctx is none.
func (r *Registry) WaitSeen(ctx context.Context, change int64) (late []Instance, err error) {
	for asked := false; ; asked = true {
		now, err := r.late(ctx, change)
		switch {
		case err != nil && ctx.Err() != nil && asked:
			return late, nil
		case err != nil:
			return nil, explain("wait for acknowledgements", err)
		}
		late = now
		if !anyLive(late) {
			return late, nil
		}
		select {
		case <-ctx.Done():
			return late, nil
		case <-time.After(lookEvery):
		}
	}
}

func (r *Registry) late(ctx context.Context, change int64) ([]Instance, error) {
	rows, err := r.pool.Query(ctx, lateSQL, change)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Instance])
}

func anyLive(all []Instance) bool {
	for _, i := range all {
		if i.Live {
			return true
		}
	}
	return false
}
