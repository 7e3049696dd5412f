package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Shares takes part in dividing the servers' connection budgets among the live
// brokers, each second until Close, and returns after the first division or
// when ctx ends. Needs Config.Broker.
//
// used returns how many connections to a server this process has: those being
// opened, and being closed, included. set is told how many it may have; where
// used is more, it must open none until it is fewer. A server that set was
// never called for has none. Both are called from the listener's goroutine and
// must not block; what set was told holds when it returns.
//
// The shares of all instances together never exceed a server's budget: one is
// raised only by what is free, and what is given up is free for others only
// when used says so. The share of an instance that is silent counts for ten
// seconds; one that was silent for longer and comes back gives way to what the
// others have taken since. While the registry is down, shares stay as they are.
func (r *Registry) Shares(ctx context.Context, used func(serverID int64) int, set func(serverID int64, connections int)) error {
	if !r.presence.broker {
		return fmt.Errorf("%w: shares are for a broker", ErrInvalid)
	}
	r.shares.mu.Lock()
	r.shares.used, r.shares.set = used, set
	r.shares.mu.Unlock()
	return r.nextTick(ctx, "divide connections")
}

// shares is our part in the division of the servers' connections.
type shares struct {
	mu   sync.Mutex // guards the two functions
	used func(int64) int
	set  func(int64, int)

	// Owned by the listener.
	next    time.Time // division
	patient time.Time // until then nobody's share is free: others may still be on their way back
}

// A lease is what is written of our share of one server.
type lease struct {
	Server   int64
	Budget   int
	Others   int // leased to others
	Own      int
	Brokers  int  // that are live and not draining
	Before   int  // of them, those before us: they get what does not divide evenly
	Dividing bool // we are one of them
}

const (
	leasesSQL = `
SELECT s.id, s.connection_budget,
  coalesce(sum(l.connections) FILTER (WHERE i.id <> $1::text::uuid
    AND dermaga.heard(i.heartbeat_at) > clock_timestamp() - $2::bigint * interval '1 microsecond'), 0)::int,
  coalesce(max(l.connections) FILTER (WHERE i.id = $1::text::uuid), 0)::int,
  b.brokers, b.before, b.dividing
FROM dermaga.servers s
LEFT JOIN dermaga.server_leases l ON l.server_id = s.id
LEFT JOIN dermaga.instances i ON i.id = l.instance_id
CROSS JOIN (
  SELECT count(*)::int AS brokers, (count(*) FILTER (WHERE id < $1::text::uuid))::int AS before,
    coalesce(bool_or(id = $1::text::uuid), false) AS dividing
  FROM dermaga.instances
  WHERE broker AND NOT draining AND heartbeat_at > clock_timestamp() - interval '2 seconds') b
GROUP BY s.id, b.brokers, b.before, b.dividing
ORDER BY s.id`
	lowerLeaseSQL = `UPDATE dermaga.server_leases SET connections = $3 WHERE instance_id = $1::text::uuid AND server_id = $2`
	raiseLeaseSQL = `SELECT dermaga.raise_lease($1::text::uuid, $2, $3, $4::bigint * interval '1 microsecond')`
)

// divide brings our share of every server nearer to what is fair.
func (r *Registry) divide(ctx context.Context, conn *pgx.Conn) error {
	s := &r.shares
	s.mu.Lock()
	used, set := s.used, s.set
	s.mu.Unlock()
	if used == nil {
		return nil
	}
	free := silence
	if time.Now().Before(s.patient) {
		free = goneAfter
	}
	rows, err := conn.Query(ctx, leasesSQL, r.presence.id, free.Microseconds())
	if err != nil {
		return fmt.Errorf("read shares: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lease])
	if err != nil {
		return fmt.Errorf("read shares: %w", err)
	}
	for _, l := range all {
		if err := r.settle(ctx, conn, l, free, used, set); err != nil {
			return fmt.Errorf("share of server %d: %w", l.Server, err)
		}
	}
	return nil
}

// settle moves one share, where that of an instance that is silent for longer
// than free may be taken. Lower: first we keep to it, then others may have the
// rest. Higher: first it is ours, then we use it.
func (r *Registry) settle(ctx context.Context, conn *pgx.Conn, l lease, free time.Duration, used func(int64) int, set func(int64, int)) error {
	target := l.target(used(l.Server))
	if target > l.Own {
		has, err := r.raise(ctx, conn, l, target, free)
		if err != nil {
			return err
		}
		set(l.Server, has)
		return nil
	}
	set(l.Server, target)
	if keep := max(target, used(l.Server)); keep < l.Own {
		_, err := conn.Exec(ctx, lowerLeaseSQL, r.presence.id, l.Server, keep)
		return err
	}
	return nil
}

// target is what we should have of a server. One that drains keeps what it
// uses; the others never more than is left.
func (l lease) target(used int) int {
	if !l.Dividing {
		return min(l.Own, used)
	}
	fair := l.Budget / l.Brokers
	if l.Before < l.Budget%l.Brokers {
		fair++
	}
	return max(0, min(fair, l.Budget-l.Others))
}

// raise asks for more, and gets what is free. If others hold the server's row for
// so long that it would cost the heartbeat, the next round asks again.
func (r *Registry) raise(ctx context.Context, conn *pgx.Conn, l lease, to int, free time.Duration) (has int, err error) {
	err = conn.QueryRow(ctx, raiseLeaseSQL, r.presence.id, l.Server, to, free.Microseconds()).Scan(&has)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == pgerrcode.LockNotAvailable {
		return l.Own, nil
	}
	return has, err
}
