package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DefaultPlan is what a tenant gets that asks for none.
const DefaultPlan = "STARTER"

// A Plan is a set of limits that tenants share. Zero means no limit.
type Plan struct {
	Name              string
	ServerConnections int // pool size, and the roles' CONNECTION LIMIT
	Clients           int
	StatementTimeout  time.Duration
	IdleInTransaction time.Duration
	TempFileBytes     int64
	WorkMemBytes      int64
	StorageBytes      int64
	Weight            int // in the queue for a server's connections
}

const plansSQL = `
SELECT name, server_connections, clients,
  coalesce(extract(epoch FROM statement_timeout) * 1000, 0)::bigint,
  coalesce(extract(epoch FROM idle_in_tx_timeout) * 1000, 0)::bigint,
  coalesce(temp_file_bytes, 0), coalesce(work_mem_bytes, 0), coalesce(storage_bytes, 0), weight
FROM dermaga.plans
WHERE $1::text IS NULL OR name = $1
ORDER BY server_connections, name`

// Plans returns all plans, the smallest first.
func (r *Registry) Plans(ctx context.Context) ([]Plan, error) {
	found, err := plans(ctx, r.pool, "")
	return found, explain("list plans", err)
}

// PlanByName returns a plan, or ErrNotFound.
func (r *Registry) PlanByName(ctx context.Context, name string) (Plan, error) {
	found, err := plans(ctx, r.pool, name)
	if err == nil && (name == "" || len(found) == 0) {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return Plan{}, explain(fmt.Sprintf("plan %q", name), err)
	}
	return found[0], nil
}

func plans(ctx context.Context, db querier, name string) ([]Plan, error) {
	rows, err := db.Query(ctx, plansSQL, nullable(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Plan, err error) {
		var statement, idle int64 // milliseconds
		err = row.Scan(&p.Name, &p.ServerConnections, &p.Clients, &statement, &idle, &p.TempFileBytes, &p.WorkMemBytes, &p.StorageBytes, &p.Weight)
		p.StatementTimeout = time.Duration(statement) * time.Millisecond
		p.IdleInTransaction = time.Duration(idle) * time.Millisecond
		return p, err
	})
}
