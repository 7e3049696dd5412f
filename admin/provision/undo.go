package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

// undoLimit bounds the way back, which goes on when the caller is gone.
const undoLimit = time.Minute

// settleLimit is how long the server may take to end a statement of ours that
// was cut off.
const settleLimit = 20 * time.Second

// giveUp undoes the steps, the failed one included, and says what happened.
// Faults of the request itself, found before there was a row, are returned as
// they are.
func (j *Job) giveUp(ctx context.Context, step string, cause error, done []Step) error {
	if j.tenant.ID == "" {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()

	f := &Failure{Step: step, Cause: cause}
	j.reason = f.Error()
	f.Undo = errors.Join(j.record(ctx, step, "failed", cause.Error()), j.settle(ctx))
	for i := len(done) - 1; i >= 0; i-- {
		if undo := done[i].Undo; undo != nil {
			if err := undo(ctx, j); err != nil {
				f.Undo = errors.Join(f.Undo, fmt.Errorf("undo %s: %w", done[i].Name, err))
				j.reason = f.Error()
			}
		}
	}
	j.deps.Log.Error(eventGivenUp, keyTenant, j.tenant.Slug, keyStep, step, keyError, cause, keyUndo, f.Undo)
	return f
}

// settle makes sure that no statement of this run is still at work: one that
// was cut off could otherwise make a database after we looked for it.
func (j *Job) settle(ctx context.Context) error {
	pids := j.backends
	j.hangUp()
	if len(pids) == 0 {
		return nil
	}
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	const end = `SELECT pg_terminate_backend(pid, $2) FROM pg_catalog.pg_stat_activity
	  WHERE pid = ANY ($1) AND usename = current_user AND pid <> pg_backend_pid()`
	if _, err := conn.Exec(ctx, end, pids, settleLimit.Milliseconds()); err != nil {
		return fmt.Errorf("end what is still running: %w", err)
	}
	return nil
}

// withdraw closes a tenant that was open already, before its database goes.
func withdraw(ctx context.Context, j *Job) error {
	now, err := j.deps.Registry.TenantByID(ctx, j.tenant.ID)
	if err != nil || now.Status != registry.Active {
		return err
	}
	return j.deps.Registry.SetStatus(ctx, j.tenant.ID, registry.Suspended, registry.Act{Actor: j.req.Actor, Message: j.reason})
}

// suspend is the last of a failed run: the login and the sealed passwords go,
// the row stays and keeps the reason.
func suspend(ctx context.Context, j *Job) error {
	act := registry.Act{Actor: j.req.Actor, Message: j.reason}
	removed := j.deps.Registry.RemoveAccess(ctx, j.tenant.ID, act)
	if removed != nil {
		removed = fmt.Errorf("remove login and credentials: %w", removed)
	}
	now, err := j.deps.Registry.TenantByID(ctx, j.tenant.ID)
	if err == nil && now.Status != registry.Suspended {
		err = j.deps.Registry.SetStatus(ctx, j.tenant.ID, registry.Suspended, act)
	}
	return errors.Join(removed, err)
}

// gone looks whether what was dropped is no longer there.
func (j *Job) gone(ctx context.Context, conn *pgx.Conn, count string, names ...any) error {
	var n int
	if err := conn.QueryRow(ctx, count, names...).Scan(&n); err != nil {
		return fmt.Errorf("look whether %v is gone: %w", names, err)
	}
	if n > 0 {
		return fmt.Errorf("%v: %d still there", names, n)
	}
	return nil
}
