package registry

import (
	"context"

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
