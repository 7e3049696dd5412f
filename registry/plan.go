package registry

import (
	"context"
	"time"
)

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
}

// Plans returns all plans, the smallest first.
func (r *Registry) Plans(ctx context.Context) ([]Plan, error) { panic("soon") }

// PlanByName returns a plan, or ErrNotFound.
func (r *Registry) PlanByName(ctx context.Context, name string) (Plan, error) { panic("soon") }
