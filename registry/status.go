package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

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

const tenantStatesSQL = `
SELECT id::text, slug, status::text, coalesce(suspended_reason, ''), version
FROM dermaga.tenants
WHERE purged_at IS NULL AND id = ANY ($1::text[]::uuid[])`

// TenantStates asks for many tenants at once, past the cache. Ids that are not
// in the answer belong to no tenant, or to a purged one.
func (r *Registry) TenantStates(ctx context.Context, ids []string) (map[string]TenantState, error) {
	rows, err := r.pool.Query(ctx, tenantStatesSQL, ids)
	if err != nil {
		return nil, explain("states of tenants", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[TenantState])
	if err != nil {
		return nil, explain("states of tenants", err)
	}
	states := make(map[string]TenantState, len(found))
	for _, s := range found {
		states[s.ID] = s
	}
	return states, nil
}

const (
	// The transition is looked up and made in one statement, so that of two who
	// try at once the second meets the first one's result.
	setStatusSQL = `
UPDATE dermaga.tenants t
SET status = x.to_status,
  suspended_reason = CASE x.to_status WHEN 'SUSPENDED' THEN $3 END,
  deleted_at = CASE x.to_status WHEN 'DELETED' THEN now() END,
  purge_after = CASE x.to_status WHEN 'DELETED' THEN now() + $6::bigint * interval '1 microsecond' END
FROM dermaga.status_transitions x
WHERE t.id = $1::text::uuid AND t.purged_at IS NULL AND $4::bigint IN (0, t.version)
  AND $5::text IN ('', t.status::text)
  AND (t.status <> 'DELETED' OR coalesce(t.purge_after, t.deleted_at + interval '7 days') > now())
  AND x.from_status = t.status AND x.to_status = $2::text::dermaga.tenant_status
RETURNING x.from_status::text`
	whyNotSQL = `
SELECT slug, status::text, version,
  status = 'DELETED' AND coalesce(purge_after, deleted_at + interval '7 days') <= now()
FROM dermaga.tenants WHERE id = $1::text::uuid`
)

// A transition is a change of status that somebody asks for.
type transition struct {
	tenant   string        // id
	from, to Status        // from "": whatever the table allows
	grace    time.Duration // of a deletion
}

// SetStatus moves a tenant to another status and writes the activity and the
// notification in the same transaction. A change that the transitions do not
// allow, also one to the status it already has, is ErrTransition.
func (r *Registry) SetStatus(ctx context.Context, tenantID string, to Status, act Act) error {
	_, err := r.move(ctx, transition{tenant: tenantID, to: to, grace: DefaultGrace}, act)
	return err
}

func (r *Registry) move(ctx context.Context, m transition, act Act) (Tenant, error) {
	var t Tenant
	err := r.inTx(ctx, "set status", func(tx pgx.Tx) error {
		var from string
		err := tx.QueryRow(ctx, setStatusSQL, m.tenant, string(m.to), nullable(act.Message), act.Version,
			string(m.from), m.grace.Microseconds()).Scan(&from)
		if errors.Is(err, pgx.ErrNoRows) {
			return whyNot(ctx, tx, m, act)
		}
		if err != nil {
			return err
		}
		if t, err = tenant(ctx, tx, m.tenant, ""); err != nil {
			return err
		}
		message := from + " to " + string(m.to)
		if m.to == Deleted {
			message += fmt.Sprintf(", can be restored for %v", m.grace)
		}
		if act.Message != "" {
			message += ": " + act.Message
		}
		return record(ctx, tx, Activity{TenantID: m.tenant, Actor: act.Actor, Action: "tenant.status", Message: message})
	})
	return t, err
}

// whyNot finds the reason for which no row was updated.
func whyNot(ctx context.Context, tx pgx.Tx, m transition, act Act) error {
	var slug, status string
	var version int64
	var late bool
	if err := tx.QueryRow(ctx, whyNotSQL, m.tenant).Scan(&slug, &status, &version, &late); err != nil {
		return err
	}
	if act.Version != 0 && act.Version != version {
		return conflict(slug, version, act.Version)
	}
	if late && m.to == Suspended {
		return fmt.Errorf("%w: the grace period of tenant %s is over", ErrTransition, slug)
	}
	if m.from != "" && string(m.from) != status {
		return fmt.Errorf("%w: tenant %s is %s, not %s", ErrTransition, slug, status, m.from)
	}
	return fmt.Errorf("%w: tenant %s cannot go from %s to %s", ErrTransition, slug, status, m.to)
}

func conflict(slug string, has, wanted int64) error {
	return fmt.Errorf("%w: tenant %s is at version %d, not %d", ErrConflict, slug, has, wanted)
}
