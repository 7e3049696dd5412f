package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

// ErrRunning says that the tenant is being made right now, here or by another
// process.
var ErrRunning = errors.New("tenant is being provisioned by another run")

// A lock of the registry's server, which it takes back when the process ends.
const leaseSQL = `SELECT pg_try_advisory_lock(hashtextextended('dermaga provision ' || $1, 0))`

// lease keeps every other run away from the slug until the job hands it back:
// what looks like the remains of a run that was killed must not be one that is
// still at work.
func (j *Job) lease(ctx context.Context) error {
	if j.leased != nil && !j.leased.IsClosed() {
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, j.deps.Registry.Pool().Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("lease tenant %s: %w: %w", j.req.Slug, registry.ErrUnavailable, err)
	}
	var ours bool
	err = conn.QueryRow(ctx, leaseSQL, j.req.Slug).Scan(&ours)
	if err == nil && !ours {
		err = ErrRunning
		if !j.resume {
			err = registry.ErrSlugTaken
		}
	}
	if err != nil {
		closeConn(conn)
		return fmt.Errorf("lease tenant %s: %w", j.req.Slug, err)
	}
	j.leased = conn
	return nil
}

// handBack ends the lease. It says so before it hangs up: the server hears of a
// lost connection a little later, when the next run may have asked already.
func (j *Job) handBack() {
	if j.leased != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		_, _ = j.leased.Exec(ctx, "SELECT pg_advisory_unlock_all()") // a lost connection takes the lock along
		closeConn(j.leased)
		j.leased = nil
	}
}
