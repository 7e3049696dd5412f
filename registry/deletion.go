package registry

import (
	"context"
	"time"
)

// DefaultGrace is how long a deleted tenant can be restored.
const DefaultGrace = 7 * 24 * time.Hour

// DeleteTenant moves a tenant to DELETED: clients do not know it any more, its
// data is kept for grace (0: DefaultGrace; negative: ErrInvalid).
func (r *Registry) DeleteTenant(ctx context.Context, tenantID string, grace time.Duration, act Act) (Tenant, error) {
	return Tenant{}, ErrUnavailable
}

// RestoreTenant moves a deleted tenant to SUSPENDED, so that somebody looks
// before its clients return. After the grace period: ErrTransition.
func (r *Registry) RestoreTenant(ctx context.Context, tenantID string, act Act) (Tenant, error) {
	return Tenant{}, ErrUnavailable
}
