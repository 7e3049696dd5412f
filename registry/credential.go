package registry

import "context"

// RoleKind says what a role may do in its tenant's database.
type RoleKind string

const (
	Owner    RoleKind = "owner"    // changes the schema
	App      RoleKind = "app"      // reads and writes
	ReadOnly RoleKind = "readonly" // reads
)

// A Credential is a role and password of a tenant at its PostgreSQL server.
type Credential struct {
	TenantID   string
	Kind       RoleKind
	Generation int
	Role       string
	Password   Secret
}

// PutCredential seals c and makes it the one that new server connections use;
// the one before is kept as old. The same generation again is overwritten.
func (r *Registry) PutCredential(ctx context.Context, c Credential) error { panic("soon") }

// CurrentCredential returns the credential in use, or ErrNotFound.
func (r *Registry) CurrentCredential(ctx context.Context, tenantID string, kind RoleKind) (Credential, error) {
	panic("soon")
}

// RemoveAccess deletes a tenant's credentials and its own logins: what
// provisioning does when it fails.
func (r *Registry) RemoveAccess(ctx context.Context, tenantID string, act Act) error { panic("soon") }
