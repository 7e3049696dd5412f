package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// An Activity is one line of the append-only log of what was done to whom.
type Activity struct {
	ID       int64
	At       time.Time
	TenantID string // "": not about a tenant
	ServerID int64  // 0: not about a server
	Actor    string // "": system
	Action   string // noun.verb: tenant.create, provision.roles
	Outcome  string // ok, failed or denied; "": ok
	Message  string
}

const (
	recordSQL = `
INSERT INTO dermaga.activities (tenant_id, server_id, actor, action, outcome, message)
VALUES ($1::text::uuid, nullif($2, 0::bigint), $3, $4, $5, $6)`
	// activitiesSQL takes tenant, server, action, before and limit; NULL or 0: any.
	activitiesSQL = `
SELECT id, at, coalesce(tenant_id::text, ''), coalesce(server_id, 0), actor, action, outcome, coalesce(message, '')
FROM dermaga.activities
WHERE ($1::text IS NULL OR tenant_id = $1::text::uuid)
  AND ($2::bigint = 0 OR server_id = $2)
  AND ($3::text IS NULL OR action = $3 OR starts_with(action, $3 || '.'))
  AND ($4::bigint = 0 OR id < $4)
ORDER BY id DESC
LIMIT $5`
)

// An ActivityFilter chooses activities. The zero ActivityFilter means all.
type ActivityFilter struct {
	TenantID string
	ServerID int64
	Action   string // a whole one, or its noun: "tenant" means tenant.create and the like
	Before   int64  // id before which the page starts: the cursor
	Limit    int    // 0: defaultActivities
}

const defaultActivities = 100

// FindActivities returns the activities that f chooses, newest first.
func (r *Registry) FindActivities(ctx context.Context, f ActivityFilter) ([]Activity, error) {
	rows, err := r.pool.Query(ctx, activitiesSQL, nullable(f.TenantID), f.ServerID, nullable(f.Action), f.Before, firstOf(f.Limit, defaultActivities))
	if err != nil {
		return nil, explain("list activities", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Activity])
	return found, explain("list activities", err)
}

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func record(ctx context.Context, db execer, a Activity) error {
	_, err := db.Exec(ctx, recordSQL, nullable(a.TenantID), a.ServerID,
		firstOf(a.Actor, "system"), a.Action, firstOf(a.Outcome, "ok"), nullable(a.Message))
	return err
}

// Record appends a. ID and At are given by the registry.
func (r *Registry) Record(ctx context.Context, a Activity) error {
	return explain("record activity", record(ctx, r.pool, a))
}

// Activities returns the newest activities first: those of a tenant, or all if
// tenantID is "".
func (r *Registry) Activities(ctx context.Context, tenantID string, limit int) ([]Activity, error) {
	return r.FindActivities(ctx, ActivityFilter{TenantID: tenantID, Limit: limit})
}
