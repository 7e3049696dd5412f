package registry

import (
	"context"
	"fmt"
	"time"
)

// DefaultGrace is how long a deleted tenant can be restored.
const DefaultGrace = 7 * 24 * time.Hour

// DeleteTenant moves a tenant to DELETED: clients do not know it any more, its
// data is kept for grace (0: DefaultGrace; negative: ErrInvalid). Its slug is
// taken until it is purged. Other errors: as SetStatus.
func (r *Registry) DeleteTenant(ctx context.Context, tenantID string, grace time.Duration, act Act) (Tenant, error) {
	if grace < 0 {
		return Tenant{}, fmt.Errorf("%w: grace period %v: it must be positive", ErrInvalid, grace)
	}
	return r.move(ctx, transition{tenant: tenantID, to: Deleted, grace: firstOf(grace, DefaultGrace)}, act)
}

// RestoreTenant moves a deleted tenant to SUSPENDED, so that somebody looks
// before its clients return. After the grace period, or if the tenant is not
// deleted: ErrTransition.
func (r *Registry) RestoreTenant(ctx context.Context, tenantID string, act Act) (Tenant, error) {
	act.Message = firstOf(act.Message, "restored, not resumed yet")
	return r.move(ctx, transition{tenant: tenantID, from: Deleted, to: Suspended}, act)
}
