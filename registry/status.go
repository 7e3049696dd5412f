package registry

import "context"

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

// SetStatus moves a tenant to another status and writes the activity and the
// notification in the same transaction. A change that the transitions do not
// allow, also one to the status it already has, is ErrTransition.
func (r *Registry) SetStatus(ctx context.Context, tenantID string, to Status, act Act) error {
	panic("soon")
}
