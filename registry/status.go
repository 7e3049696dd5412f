package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Status says where a tenant is in its life. Which may follow which is decided
// by the table dermaga.status_transitions and enforced by a trigger.
type Status string

const (
	// Provisioning: the row exists, its database is being made. Clients wait.
	Provisioning Status = "PROVISIONING"
	// Migrating: its schema is being changed. New transactions wait.
	Migrating Status = "MIGRATING"
	// Active: clients are served.
	Active Status = "ACTIVE"
	// Suspended: refused, with the reason; data is kept.
	Suspended Status = "SUSPENDED"
	// Deleted: unknown to clients; data is kept until the grace period is over.
	Deleted Status = "DELETED"
)

// Act says who does something and why; it ends up in the activities.
type Act struct {
	Actor   string // who: a login of the operating system, a token's name, "provisioning"
	Message string // why, or what happened; becomes the reason of a suspension
	Version int64  // if not 0: only if the tenant is still at this version, else ErrConflict
}

// A TenantState is what a running client's tenant has come to.
type TenantState struct {
	ID, Slug string
	Status   Status
	Reason   string // of a suspension
	Version  int64
}

// TenantStates asks for many tenants at once, past the cache. Ids that are not
// in the answer belong to no tenant, or to a purged one.
func (r *Registry) TenantStates(ctx context.Context, ids []string) (map[string]TenantState, error) {
	return nil, ErrUnavailable
}

const (
	// The transition is looked up and made in one statement, so that of two who
	// try at once the second meets the first one's result.
	setStatusSQL = `
UPDATE dermaga.tenants t
SET status = x.to_status,
  suspended_reason = CASE x.to_status WHEN 'SUSPENDED' THEN $3 END,
  deleted_at = CASE x.to_status WHEN 'DELETED' THEN now() END
FROM dermaga.status_transitions x
WHERE t.id = $1::text::uuid AND t.purged_at IS NULL AND $4::bigint IN (0, t.version)
  AND x.from_status = t.status AND x.to_status = $2::text::dermaga.tenant_status
RETURNING x.from_status::text`
	whyNotSQL = `SELECT slug, status::text, version FROM dermaga.tenants WHERE id = $1::text::uuid`
)

// SetStatus moves a tenant to another status and writes the activity and the
// notification in the same transaction. A change that the transitions do not
// allow, also one to the status it already has, is ErrTransition.
func (r *Registry) SetStatus(ctx context.Context, tenantID string, to Status, act Act) error {
	return r.inTx(ctx, "set status", func(tx pgx.Tx) error {
		var from string
		err := tx.QueryRow(ctx, setStatusSQL, tenantID, string(to), nullable(act.Message), act.Version).Scan(&from)
		if errors.Is(err, pgx.ErrNoRows) {
			return whyNot(ctx, tx, tenantID, to, act)
		}
		if err != nil {
			return err
		}
		message := from + " to " + string(to)
		if act.Message != "" {
			message += ": " + act.Message
		}
		return record(ctx, tx, Activity{TenantID: tenantID, Actor: act.Actor, Action: "tenant.status", Message: message})
	})
}

// whyNot finds the reason for which no row was updated.
func whyNot(ctx context.Context, tx pgx.Tx, tenantID string, to Status, act Act) error {
	var slug, status string
	var version int64
	if err := tx.QueryRow(ctx, whyNotSQL, tenantID).Scan(&slug, &status, &version); err != nil {
		return err
	}
	if act.Version != 0 && act.Version != version {
		return fmt.Errorf("%w: tenant %s is at version %d, not %d", ErrConflict, slug, version, act.Version)
	}
	return fmt.Errorf("%w: tenant %s cannot go from %s to %s", ErrTransition, slug, status, to)
}
