package registry

import (
	"context"
	"time"
)

// A Login is a name with which clients log in to the broker. A tenant login
// belongs to one tenant; a service login reaches the tenants it has grants for.
type Login struct {
	ID         string // UUID
	Name       string
	TenantID   string // "": service login
	Service    bool
	Kind       RoleKind // which of the tenant's roles it becomes
	Verifiers  []string // SCRAM-SHA-256, newest first, valid now
	MaxClients int      // 0: no limit of its own
	PoolMode   string   // "": the tenant's
	Params     map[string]string
}

// NewLogin is what PutLogin needs.
type NewLogin struct {
	Name       string
	TenantID   string   // "": service login
	Kind       RoleKind // "": App
	Verifier   string   // from NewVerifier
	MaxClients int
	PoolMode   string
	Params     map[string]string // session settings, as startup parameters would be
	Overlap    time.Duration     // how long verifiers that it had stay valid; 0: not at all
	Actor      string
}

// PutLogin makes a login, or gives the one that exists a new verifier and the
// other values of n. A name that is a service login's cannot become a tenant's,
// nor the other way round: ErrLoginTaken.
func (r *Registry) PutLogin(ctx context.Context, n NewLogin) (Login, error) { panic("soon") }

// Logins returns the logins of a tenant, or the service logins if tenantID is "".
func (r *Registry) Logins(ctx context.Context, tenantID string) ([]Login, error) { panic("soon") }

// Grant lets a service login reach a tenant; tenantID "" means every tenant,
// those to come included.
func (r *Registry) Grant(ctx context.Context, loginID, tenantID string, act Act) error {
	panic("soon")
}

// Revoke takes back what Grant gave. What was not granted is no error.
func (r *Registry) Revoke(ctx context.Context, loginID, tenantID string, act Act) error {
	panic("soon")
}
