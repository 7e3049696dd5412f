package registry

import (
	"context"
	"time"
)

// An Activity is one line of the append-only log of what was done to whom.
type Activity struct {
	ID       int64
	At       time.Time
	TenantID string // "": not about a tenant
	ServerID int64  // 0: not about a server
	Actor    string
	Action   string // noun.verb: tenant.create, provision.roles
	Outcome  string // ok, failed or denied; "": ok
	Message  string
}

// Record appends a. ID and At are given by the registry.
func (r *Registry) Record(ctx context.Context, a Activity) error { panic("soon") }

// Activities returns the newest activities first: those of a tenant, or all if
// tenantID is "".
func (r *Registry) Activities(ctx context.Context, tenantID string, limit int) ([]Activity, error) {
	panic("soon")
}

// A Migration is one run of one schema file against one tenant.
type Migration struct {
	TenantID  string
	Set       string // journal
	Version   uint64
	Name      string
	SHA256    [32]byte
	Actor     string
	StartedAt time.Time // zero: now minus Duration
	Duration  time.Duration
	Err       error // nil: applied. When read back, only its text is left
}

// RecordMigration appends m as one more attempt.
func (r *Registry) RecordMigration(ctx context.Context, m Migration) error { panic("soon") }

// Migrations returns what is on record for a tenant, oldest first.
func (r *Registry) Migrations(ctx context.Context, tenantID string) ([]Migration, error) {
	panic("soon")
}
