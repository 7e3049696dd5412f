package registry

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry/slug"
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
	PurgeAfter    *time.Time // end of a deleted tenant's grace period. Not filled by Lookup
}

// NewTenant is what CreateTenant needs.
type NewTenant struct {
	Slug      string
	Name      string // "": the slug
	Plan      string // "": DefaultPlan
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
	Text   string // part of the slug or the name, in any case
	After  string // slug after which the page starts: the cursor
	Limit  int    // 0: all
}

// tenantRow is one row of tenantsSQL.
type tenantRow struct {
	ID, Slug, Name, Plan, Status string
	Reason                       *string
	ServerID                     int64
	Server, Database             string
	Overrides                    Overrides
	SchemaVersion, Version       int64
	CreatedAt, UpdatedAt         time.Time
	DeletedAt, PurgeAfter        *time.Time
}

// tenantsSQL takes id, slug, status, plan, server, after, limit and text; NULL:
// any.
const tenantsSQL = `
SELECT t.id::text, t.slug, t.name, t.plan, t.status::text, t.suspended_reason, t.server_id, s.name, t.database,
  t.overrides,
  (SELECT coalesce(max(m.version), 0) FROM dermaga.tenant_migrations m
   WHERE m.tenant_id = t.id AND m.set_name = 'journal' AND m.state = 'applied'),
  t.version, t.created_at, t.updated_at, t.deleted_at, t.purge_after
FROM dermaga.tenants t
JOIN dermaga.servers s ON s.id = t.server_id
WHERE t.purged_at IS NULL
  AND ($1::text IS NULL OR t.id = $1::text::uuid)
  AND ($2::text IS NULL OR t.slug = $2)
  AND ($3::text IS NULL OR t.status = $3::text::dermaga.tenant_status)
  AND ($3::text IS NOT NULL OR $1::text IS NOT NULL OR $2::text IS NOT NULL OR t.status <> 'DELETED')
  AND ($4::text IS NULL OR t.plan = $4)
  AND ($5::text IS NULL OR s.name = $5)
  AND ($6::text IS NULL OR t.slug > $6 COLLATE "C")
  AND ($8::text IS NULL OR strpos(lower(t.slug || ' ' || t.name), lower($8)) > 0)
ORDER BY t.slug COLLATE "C"
LIMIT $7`

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func tenants(ctx context.Context, db querier, id, slug string, f Filter) ([]Tenant, error) {
	var limit *int
	if f.Limit > 0 {
		limit = &f.Limit
	}
	rows, err := db.Query(ctx, tenantsSQL, nullable(id), nullable(slug),
		nullable(string(f.Status)), nullable(f.Plan), nullable(f.Server), nullable(f.After), limit, nullable(f.Text))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Tenant, error) {
		x, err := pgx.RowToStructByPos[tenantRow](row)
		return Tenant{
			ID: x.ID, Slug: x.Slug, Name: x.Name, Plan: x.Plan, Status: Status(x.Status), StatusReason: deref(x.Reason),
			ServerID: x.ServerID, Server: x.Server, Database: x.Database,
			Overrides: x.Overrides, SchemaVersion: x.SchemaVersion, Version: x.Version,
			CreatedAt: x.CreatedAt, UpdatedAt: x.UpdatedAt, DeletedAt: x.DeletedAt, PurgeAfter: x.PurgeAfter,
		}, err
	})
}

// tenant returns the one tenant with that id or slug.
func tenant(ctx context.Context, db querier, id, slug string) (Tenant, error) {
	found, err := tenants(ctx, db, id, slug, Filter{})
	if err != nil {
		return Tenant{}, err
	}
	if len(found) == 0 {
		return Tenant{}, pgx.ErrNoRows
	}
	return found[0], nil
}

// Tenants returns the tenants that f chooses, by slug.
func (r *Registry) Tenants(ctx context.Context, f Filter) ([]Tenant, error) {
	found, err := tenants(ctx, r.pool, "", "", f)
	return found, explain("list tenants", err)
}

// TenantBySlug returns the tenant that has the slug now, or ErrNotFound.
func (r *Registry) TenantBySlug(ctx context.Context, slug string) (Tenant, error) {
	if slug == "" {
		return Tenant{}, fmt.Errorf("tenant %q: %w", slug, ErrNotFound)
	}
	t, err := tenant(ctx, r.pool, "", slug)
	return t, explain(fmt.Sprintf("tenant %q", slug), err)
}

// TenantByID returns a tenant, or ErrNotFound.
func (r *Registry) TenantByID(ctx context.Context, id string) (Tenant, error) {
	if id == "" {
		return Tenant{}, fmt.Errorf("tenant: %w", ErrNotFound)
	}
	t, err := tenant(ctx, r.pool, id, "")
	return t, explain("tenant "+id, err)
}

const (
	// lockPlacesSQL makes those who create tenants on servers with a limit take
	// turns, so that of two the second counts the first one's. Servers without one
	// need no turns. What placeSQL reads must be read after it.
	lockPlacesSQL = `
SELECT FROM dermaga.servers
WHERE state = 'active' AND max_tenants IS NOT NULL AND $1 IN ('', name)
ORDER BY id
FOR NO KEY UPDATE`
	// placeSQL takes a server's name or ''.
	placeSQL = `
SELECT s.id
FROM dermaga.servers s
CROSS JOIN LATERAL (SELECT count(*) AS n FROM dermaga.tenants t WHERE t.server_id = s.id AND t.purged_at IS NULL) c
WHERE s.state = 'active' AND (s.max_tenants IS NULL OR c.n < s.max_tenants) AND $1 IN ('', s.name)
ORDER BY c.n::float / s.weight, s.id
LIMIT 1`
	serverStateSQL  = `SELECT state FROM dermaga.servers WHERE name = $1`
	createTenantSQL = `
INSERT INTO dermaga.tenants (slug, name, plan, server_id, database, overrides)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id::text`
)

// prefixRule keeps database names plain: they end up in scripts and file names.
var prefixRule = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// CreateTenant writes the row of a new tenant, PROVISIONING, placed on a server
// and with the name of its database fixed. Errors: ErrInvalid (the message names
// the rule), ErrSlugTaken, ErrNoServer, ErrNotFound (the named server).
func (r *Registry) CreateTenant(ctx context.Context, n NewTenant) (Tenant, error) {
	n.Plan, n.Prefix, n.Name = firstOf(n.Plan, DefaultPlan), firstOf(n.Prefix, DefaultPrefix), firstOf(n.Name, n.Slug)
	database := DatabaseName(n.Prefix, n.Slug)
	if err := n.validate(database); err != nil {
		return Tenant{}, err
	}
	var t Tenant
	err := r.inTx(ctx, fmt.Sprintf("create tenant %q", n.Slug), func(tx pgx.Tx) error {
		if err := checkLimits(ctx, tx, Tenant{Plan: n.Plan, Overrides: n.Overrides}); err != nil {
			return err
		}
		server, err := place(ctx, tx, n.Server)
		if err != nil {
			return err
		}
		var id string
		if err := tx.QueryRow(ctx, createTenantSQL, n.Slug, n.Name, n.Plan, server, database, n.Overrides).Scan(&id); err != nil {
			return err
		}
		if t, err = tenant(ctx, tx, id, ""); err != nil {
			return err
		}
		return record(ctx, tx, Activity{
			TenantID: id, ServerID: server, Actor: n.Actor, Action: "tenant.create",
			Message: fmt.Sprintf("plan %s, server %s, database %s", t.Plan, t.Server, t.Database),
		})
	})
	return t, err
}

func (n NewTenant) validate(database string) error {
	if err := slug.Check(n.Slug); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !prefixRule.MatchString(n.Prefix) {
		return fmt.Errorf("%w: database prefix %q: it starts with a letter and has only a-z, 0-9 and _", ErrInvalid, n.Prefix)
	}
	if len(database) > maxIdentifier {
		return fmt.Errorf("%w: database name %q has %d bytes, PostgreSQL allows %d: shorten the prefix", ErrInvalid, database, len(database), maxIdentifier)
	}
	return n.Overrides.validate()
}

// place chooses the server of a new tenant.
func place(ctx context.Context, tx pgx.Tx, name string) (int64, error) {
	if _, err := tx.Exec(ctx, lockPlacesSQL, name); err != nil {
		return 0, err
	}
	var id int64
	err := tx.QueryRow(ctx, placeSQL, name).Scan(&id)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	if name == "" {
		return 0, ErrNoServer
	}
	var state string
	if err := tx.QueryRow(ctx, serverStateSQL, name).Scan(&state); err != nil {
		return 0, explain(fmt.Sprintf("server %q", name), err)
	}
	return 0, fmt.Errorf("%w: server %q is %s", ErrNoServer, name, map[bool]string{true: "full", false: state}[state == "active"])
}

// nullable gives NULL for an empty text.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
