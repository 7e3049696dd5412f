package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// An Instance is a process that shares the registry with us: its row in
// dermaga.instances.
type Instance struct {
	ID           string // UUID, new for each process
	PeerAddress  string // host:port of its peer channel; "": none
	Broker       bool   // it relays: its acknowledgements are waited for
	CancelPrefix int    // 1…1023, what its cancel keys begin with, in no two rows the same; 0: does not relay
	StartedAt    time.Time
	HeartbeatAt  time.Time // by the registry's clock
	SeenChange   int64     // every effect of the changes up to it has happened there
	Draining     bool
	Live         bool // heard from in the last two seconds, by the registry's clock
}

// silence is how long an instance may be unheard of before what it held is free
// for others: 'ten seconds' in migrations/registry.
const silence = 10 * time.Second

// goneAfter is how long it takes until its row is cleared away.
const goneAfter = 10 * time.Minute

const (
	instanceColumns = `
i.id::text, i.peer_address, i.broker, coalesce(i.cancel_prefix, 0), i.started_at, i.heartbeat_at, i.seen_change,
  i.draining, i.heartbeat_at > clock_timestamp() - interval '2 seconds'`
	instancesSQL = `SELECT ` + instanceColumns + ` FROM dermaga.instances i ORDER BY i.started_at, i.id`
	// beatSQL also tells how long we had been silent, in seconds.
	beatSQL = `
UPDATE dermaga.instances i
SET heartbeat_at = clock_timestamp(), seen_change = greatest(i.seen_change, $2), peer_address = $3, draining = $4
FROM (SELECT heartbeat_at FROM dermaga.instances WHERE id = $1::text::uuid) was
WHERE i.id = $1::text::uuid
RETURNING ` + instanceColumns + `, extract(epoch FROM i.heartbeat_at - was.heartbeat_at)::float8`
	joinSQL  = `SELECT dermaga.join_instance($1::text::uuid, $2, $3, $4, $5)`
	leaveSQL = `DELETE FROM dermaga.instances WHERE id = $1::text::uuid`
	newIDSQL = `SELECT gen_random_uuid()::text`
	deadSQL  = `DELETE FROM dermaga.instances WHERE dermaga.heard(heartbeat_at) < clock_timestamp() - interval '10 minutes'`
)

// presence is this process among the instances. What it wants to be known of
// itself is written with the next heartbeat. Safe for concurrent use; id belongs
// to the listener while that runs, then to Close.
type presence struct {
	id     string
	broker bool

	mu      sync.Mutex
	address string
	drains  bool
	written Instance // zero: no row yet
}

// present reports whether this process has something to say to the others.
func (p *presence) present() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broker || p.address != ""
}

// beat renews the row, or makes it: the first time, and when it was cleared away
// because we had been silent for minutes. It returns for how long we were.
func (p *presence) beat(ctx context.Context, conn *pgx.Conn, newest, seen int64) (silent time.Duration, err error) {
	if p.id == "" {
		if err := conn.QueryRow(ctx, newIDSQL).Scan(&p.id); err != nil {
			return 0, err
		}
	}
	p.mu.Lock()
	address, drains, wish := p.address, p.drains, p.written.CancelPrefix
	p.mu.Unlock()
	for range 2 {
		var row Instance
		var seconds float64
		err = conn.QueryRow(ctx, beatSQL, p.id, seen, address, drains).Scan(
			&row.ID, &row.PeerAddress, &row.Broker, &row.CancelPrefix, &row.StartedAt, &row.HeartbeatAt,
			&row.SeenChange, &row.Draining, &row.Live, &seconds)
		if err == nil {
			p.mu.Lock()
			p.written = row
			p.mu.Unlock()
			return time.Duration(seconds * float64(time.Second)), nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			break
		}
		// Nobody is connected through us yet, or has been for long: what changed
		// until now is seen.
		if _, err = conn.Exec(ctx, joinSQL, p.id, address, p.broker, newest, wish); err != nil {
			break
		}
	}
	return 0, fmt.Errorf("heartbeat: %w", err)
}

// leave removes the row, and with it our shares. If that fails, the heartbeat's
// age says the same.
func (p *presence) leave(ctx context.Context, db execer) {
	if p.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, _ = db.Exec(ctx, leaveSQL, p.id)
}

// Self returns this process's own row as last written, or false if it has none
// (neither Config.Broker nor a peer address). After an outage of more than ten
// minutes its CancelPrefix may be another one.
func (r *Registry) Self() (Instance, bool) {
	r.presence.mu.Lock()
	defer r.presence.mu.Unlock()
	return r.presence.written, r.presence.written.ID != ""
}

// Instances returns all rows, oldest first, those of processes that ended
// without a word included until they are cleared away.
func (r *Registry) Instances(ctx context.Context) ([]Instance, error) {
	rows, err := r.pool.Query(ctx, instancesSQL)
	if err != nil {
		return nil, explain("list instances", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Instance])
	return found, explain("list instances", err)
}

// SetDraining tells the others that this instance takes no new clients, and so
// gives up its shares as its connections close. It returns when that is written.
func (r *Registry) SetDraining(ctx context.Context, draining bool) error {
	r.presence.mu.Lock()
	r.presence.drains = draining
	r.presence.mu.Unlock()
	return r.nextTick(ctx, "set draining")
}

// SetPeerAddress tells the others where this instance's peer channel listens. It
// replaces Config.PeerAddress, and returns when that is written.
func (r *Registry) SetPeerAddress(ctx context.Context, address string) error {
	r.presence.mu.Lock()
	r.presence.address = address
	r.presence.mu.Unlock()
	return r.nextTick(ctx, "set peer address")
}
