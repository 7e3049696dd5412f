package registry

import (
	"context"
	"time"
)

// A Tenant is one company with a database of its own.
type Tenant struct {
	ID            string // UUID
	Slug          string
	Name          string
	Plan          string
	Status        Status
	StatusReason  string // why it is suspended
	ServerID      int64
	Server        string // its server's name
	Database      string // stored when made, never computed again
	Overrides     Overrides
	SchemaVersion int64 // newest journal migration on record; 0: none. Not filled by Lookup
	Version       int64 // grows with every change of the row
	CreatedAt     time.Time
	UpdatedAt     time.Time
	DeletedAt     *time.Time
}

// Overrides are limits of a tenant that differ from its plan's. Zero: the plan's.
type Overrides struct {
	PoolSize   int    `json:"pool_size,omitempty"`
	MaxClients int    `json:"max_clients,omitempty"`
	PoolMode   string `json:"pool_mode,omitempty"` // auto, session, transaction or statement
}

// NewTenant is what CreateTenant needs.
type NewTenant struct {
	Slug      string
	Name      string // "": the slug
	Plan      string // "": STARTER
	Server    string // a server's name; "": the active one with the fewest tenants for its weight
	Prefix    string // of the database's name; "": DefaultPrefix
	Overrides Overrides
	Actor     string
}

// Filter chooses tenants. The zero Filter means all that are not deleted.
type Filter struct {
	Status Status // "": all but DELETED
	Plan   string
	Server string // name
	After  string // slug after which the page starts
	Limit  int    // 0: all
}

// CreateTenant writes the row of a new tenant, PROVISIONING, placed on a server
// and with the name of its database fixed. Errors: ErrInvalid, ErrSlugTaken,
// ErrNoServer, ErrNotFound (the named server).
func (r *Registry) CreateTenant(ctx context.Context, n NewTenant) (Tenant, error) { panic("soon") }

// Tenants returns the tenants that f chooses, by slug.
func (r *Registry) Tenants(ctx context.Context, f Filter) ([]Tenant, error) { panic("soon") }

// TenantBySlug returns the tenant that has the slug now, or ErrNotFound.
func (r *Registry) TenantBySlug(ctx context.Context, slug string) (Tenant, error) { panic("soon") }

// TenantByID returns a tenant, or ErrNotFound.
func (r *Registry) TenantByID(ctx context.Context, id string) (Tenant, error) { panic("soon") }
