package registry

import "context"

// An Entry answers the broker's question: who is this login at this slug, and
// where does it go? Its parts are shared by all who ask: read only.
type Entry struct {
	Login   *Login  // nil: neither a login of this tenant nor a service login
	Tenant  *Tenant // nil: no such tenant, or purged
	Granted bool    // a login of this tenant, or a service login with a grant
	Route   *Route  // nil unless Granted and the tenant is not DELETED
}

// A Route is all that the broker needs to reach a tenant's database in one role.
type Route struct {
	TenantID, Slug string
	Status         Status
	StatusReason   string
	Version        int64 // of the tenant's row
	Server         Server
	Database       string
	Role           string // "": no credential yet (provisioning), see CredentialErr
	Kind           RoleKind
	Generation     int
	Password       Secret
	CredentialErr  error  // why Password is empty: ErrNotFound, ErrWrongKey, ErrTruncated, ErrNotItsRow …
	PoolSize       int    // the plan's, or the tenant's own
	MaxClients     int    // of all logins of the tenant together
	PoolMode       string // the login's, else the tenant's; "": the broker's default
	Plan           string
}

// Lookup answers from memory where it can. Its only error is ErrUnavailable:
// the registry is down and no entry, not even an old one, is at hand.
func (r *Registry) Lookup(ctx context.Context, slug, login string) (Entry, error) { panic("soon") }

// LookupFresh asks the registry itself, past the cache.
func (r *Registry) LookupFresh(ctx context.Context, slug, login string) (Entry, error) {
	panic("soon")
}

// A Change says that a row was changed. Entity is its table: tenants,
// credentials, logins, login_verifiers, login_grants, servers or plans; or "*",
// everything may have changed. EntityID is the id of the row, or of the tenant
// (credentials) or login (verifiers, grants) that it belongs to.
type Change struct {
	ID       int64
	Entity   string
	EntityID string
}

// OnChange calls f for each change, in order and from one goroutine, after the
// cache has dropped what it concerns. f must not block.
func (r *Registry) OnChange(f func(Change)) { panic("soon") }
