package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// heartbeatProbes is after how many probes of the channel an instance says that
// it lives: every five seconds.
const heartbeatProbes = 5

const (
	// The seen change tells others which changes this instance acts on already.
	beatSQL = `
INSERT INTO dermaga.instances (id, peer_address, seen_change) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), seen_change = excluded.seen_change`
	leaveSQL = `DELETE FROM dermaga.instances WHERE id = $1`
	newIDSQL = `SELECT gen_random_uuid()::text`
	deadSQL  = `DELETE FROM dermaga.instances WHERE heartbeat_at < now() - interval '10 minutes'`
)

// An instance is this process's row in dermaga.instances. Owned by the listener
// while that runs, then by Close.
type instance struct{ id, address string }

// beat renews the row; the first time it makes it, and clears away those of
// processes that ended without a word.
func (i *instance) beat(ctx context.Context, conn *pgx.Conn, seen int64) error {
	if i.id == "" {
		if err := conn.QueryRow(ctx, newIDSQL).Scan(&i.id); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, deadSQL); err != nil {
			return err
		}
	}
	_, err := conn.Exec(ctx, beatSQL, i.id, i.address, seen)
	return err
}

// leave removes the row. If that fails, the heartbeat's age says the same.
func (i *instance) leave(ctx context.Context, db execer) {
	if i.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, _ = db.Exec(ctx, leaveSQL, i.id)
}

// An Instance is a process that shares the registry with us: its row in
// dermaga.instances.
type Instance struct {
	ID           string // UUID, new for each process
	PeerAddress  string // host:port of its peer channel; "": none
	Broker       bool   // it relays: its acknowledgements are waited for
	CancelPrefix int    // 1…1023, what its cancel keys begin with; no two rows have the same
	StartedAt    time.Time
	HeartbeatAt  time.Time // by the registry's clock
	SeenChange   int64     // every effect of the changes up to it has happened there
	Draining     bool
	Live         bool // heard from in the last two seconds, by the registry's clock
}

// Self returns this process's own row as last written, or false if it has none
// (neither Config.Broker nor a peer address). After an outage of more than ten
// minutes its CancelPrefix may be another one.
func (r *Registry) Self() (Instance, bool) {
	return Instance{}, false
}

// Instances returns all rows, oldest first, those of processes that ended
// without a word included until they are cleared away.
func (r *Registry) Instances(ctx context.Context) ([]Instance, error) {
	return nil, ErrUnavailable
}

// SetDraining tells the others that this instance takes no new clients, and so
// gives up its shares as its connections close.
func (r *Registry) SetDraining(ctx context.Context, draining bool) error {
	return ErrUnavailable
}

// SetPeerAddress tells the others where this instance's peer channel listens.
// It replaces Config.PeerAddress.
func (r *Registry) SetPeerAddress(ctx context.Context, address string) error {
	return ErrUnavailable
}
