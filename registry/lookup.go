package registry

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry/slug"
)

// An Entry answers the broker's question: who is this login at this slug, and
// where does it go? Tenant and Route are shared by all who ask: read only.
type Entry struct {
	Login   *Login  // nil: neither a login of this tenant nor a service login, or disabled or expired
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
	CredentialErr  error  // why Password is empty: ErrNotFound, ErrWrongKey, ErrTruncated, ErrNotItsRow, ErrSealFormat
	PoolSize       int    // the plan's, or the tenant's own
	MinPoolSize    int    // server connections kept open; 0: none
	Weight         int    // the plan's: its share of a server's connections that tenants wait for, at least 1
	MaxClients     int    // of all logins of the tenant together
	PoolMode       string // the login's, else the tenant's; "": the broker's default
	Plan           string
	Own            Overrides // with the settings that differ from the broker's
}

// Lookup answers from memory where it can. Its only error is ErrUnavailable:
// the registry is down and no entry, not even an old one, is at hand.
//
// What Lookup returned may change right after. Whoever acts on it for longer
// compares Route.Version again when OnChange says so.
func (r *Registry) Lookup(ctx context.Context, slug, login string) (Entry, error) {
	q, ok := ask(slug, login)
	if !ok {
		return Entry{}, nil
	}
	return r.cache.lookup(ctx, q)
}

// LookupFresh asks the registry itself, past the cache, and keeps the answer.
func (r *Registry) LookupFresh(ctx context.Context, slug, login string) (Entry, error) {
	q, ok := ask(slug, login)
	if !ok {
		return Entry{}, nil
	}
	return r.cache.refresh(ctx, q, false)
}

// ask makes the question, or reports that no registry could know the login. The
// names come from strangers: what PostgreSQL would refuse as text must not look
// like a registry that fails, and slugs that cannot exist share one entry.
func ask(name, login string) (question, bool) {
	if login == "" || len(login) > maxIdentifier || !utf8.ValidString(login) || strings.ContainsRune(login, 0) {
		return question{}, false
	}
	if slug.Check(name) != nil {
		name = ""
	}
	return question{slug: name, login: login}, true
}

// lookupSQL always returns one row: parts that do not exist are NULL. A name is
// never both a tenant's login and a service's (logins_one_sort), so there is one
// login at most.
const lookupSQL = `
SELECT t.id::text AS tenant_id, t.slug, t.name AS tenant_name, t.status::text AS status,
  t.suspended_reason, t.database, t.version, t.plan,
  t.overrides,
  t.created_at, t.updated_at, t.deleted_at,
  p.server_connections, p.clients, p.weight,
  s.id AS server_id, s.name AS server_name, s.host, s.port, s.sslmode, s.ca_pem, s.state AS server_state, s.connection_budget,
  l.id::text AS login_id, l.name AS login_name, l.tenant_id::text AS login_tenant_id, l.kind::text AS kind,
  l.pool_mode AS login_pool_mode, l.max_clients AS login_max_clients,
  l.console, l.replication, l.created_at AS login_created_at, l.expires_at, l.disabled_at,
  (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(l.params)) AS params,
  (SELECT array_agg(v.verifier ORDER BY v.generation DESC)
   FROM dermaga.login_verifiers v WHERE v.login_id = l.id) AS verifiers,
  (SELECT array_agg(v.valid_until ORDER BY v.generation DESC)
   FROM dermaga.login_verifiers v WHERE v.login_id = l.id) AS valid_until,
  coalesce(l.tenant_id = t.id OR EXISTS (
    SELECT FROM dermaga.login_grants g
    WHERE g.login_id = l.id AND (g.tenant_id IS NULL OR g.tenant_id = t.id)), false) AS granted,
  c.generation, c.role, c.key_id, c.sealed
FROM (SELECT) one
LEFT JOIN dermaga.tenants t ON t.slug = $1 AND t.purged_at IS NULL
LEFT JOIN dermaga.plans p ON p.name = t.plan
LEFT JOIN dermaga.servers s ON s.id = t.server_id
LEFT JOIN dermaga.logins l ON l.name = $2 AND (l.tenant_id = t.id OR l.tenant_id IS NULL)
LEFT JOIN dermaga.credentials c ON c.tenant_id = t.id AND c.kind = l.kind AND c.state = 'current'`

// lookupRow is a row of lookupSQL.
type lookupRow struct {
	TenantID, Slug, TenantName, Status *string
	SuspendedReason, Database          *string
	Version                            *int64
	Plan                               *string
	Overrides                          *Overrides
	CreatedAt, UpdatedAt, DeletedAt    *time.Time
	ServerConnections, Clients, Weight *int

	ServerID            *int64
	ServerName, Host    *string
	Port                *int
	SSLMode             *string `db:"sslmode"`
	CAPEM               *string `db:"ca_pem"`
	ServerState         *string
	ConnectionBudget    *int
	LoginID, LoginName  *string
	LoginTenantID, Kind *string
	LoginPoolMode       *string
	LoginMaxClients     *int
	Console             *string
	Replication         *bool
	LoginCreatedAt      *time.Time
	ExpiresAt           *time.Time
	DisabledAt          *time.Time
	Params              map[string]string
	Verifiers           []string
	ValidUntil          []*time.Time
	Granted             bool
	Generation          *int
	Role, KeyID         *string
	Sealed              []byte
}

// ask puts the broker's question to the database, in one query.
func (r *Registry) ask(ctx context.Context, q question) (*remembered, error) {
	rows, err := r.pool.Query(ctx, lookupSQL, q.slug, q.login)
	if err != nil {
		return nil, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[lookupRow])
	if err != nil {
		return nil, err
	}
	m := &remembered{tenant: deref(row.TenantID), login: deref(row.LoginID), server: deref(row.ServerID), plan: deref(row.Plan)}
	m.entry.Granted = row.Granted
	if row.LoginID != nil {
		m.entry.Login, m.verifiers = row.loginParts()
	}
	if row.TenantID != nil {
		m.entry.Tenant = row.tenant()
	}
	if row.Granted && row.TenantID != nil && m.entry.Tenant.Status != Deleted {
		m.entry.Route = r.route(row, m.entry)
	}
	return m, nil
}

func (row *lookupRow) loginParts() (*Login, []validity) {
	l := &Login{
		ID: *row.LoginID, Name: *row.LoginName, TenantID: deref(row.LoginTenantID), Service: row.LoginTenantID == nil,
		Kind: RoleKind(*row.Kind), MaxClients: deref(row.LoginMaxClients), PoolMode: deref(row.LoginPoolMode), Params: row.Params,
		Console: deref(row.Console), Replication: deref(row.Replication), CreatedAt: *row.LoginCreatedAt, ExpiresAt: row.ExpiresAt, DisabledAt: row.DisabledAt,
	}
	all := make([]validity, len(row.Verifiers))
	for i, v := range row.Verifiers {
		all[i] = validity{verifier: v, until: deref(row.ValidUntil[i])}
	}
	return l, all
}

func (row *lookupRow) tenant() *Tenant {
	return &Tenant{
		ID: *row.TenantID, Slug: *row.Slug, Name: *row.TenantName, Plan: *row.Plan, Status: Status(*row.Status),
		StatusReason: deref(row.SuspendedReason), ServerID: *row.ServerID, Server: *row.ServerName, Database: *row.Database,
		Overrides: deref(row.Overrides),
		Version:   *row.Version, CreatedAt: *row.CreatedAt, UpdatedAt: *row.UpdatedAt, DeletedAt: row.DeletedAt,
	}
}

func (r *Registry) route(row *lookupRow, e Entry) *Route {
	t := e.Tenant
	out := &Route{
		TenantID: t.ID, Slug: t.Slug, Status: t.Status, StatusReason: t.StatusReason, Version: t.Version,
		Server: Server{
			ID: *row.ServerID, Name: *row.ServerName, Host: *row.Host, Port: *row.Port,
			SSLMode: *row.SSLMode, CAPEM: deref(row.CAPEM), State: *row.ServerState, ConnectionBudget: *row.ConnectionBudget,
		},
		Database: t.Database, Kind: e.Login.Kind, Plan: t.Plan, Own: t.Overrides,
		PoolSize: firstOf(t.Overrides.PoolSize, *row.ServerConnections), MinPoolSize: t.Overrides.MinPoolSize, Weight: *row.Weight,
		MaxClients: firstOf(t.Overrides.MaxClients, *row.Clients),
		PoolMode:   firstOf(e.Login.PoolMode, t.Overrides.PoolMode),
	}
	if row.Role == nil {
		out.CredentialErr = fmt.Errorf("%s credential of tenant %s: %w", out.Kind, t.Slug, ErrNotFound)
		return out
	}
	out.Role, out.Generation = *row.Role, *row.Generation
	password, err := r.keys.Open(*row.KeyID, row.Sealed, credentialBinding(t.ID, out.Kind, out.Generation, out.Role))
	if err != nil {
		err = fmt.Errorf("%s credential of tenant %s: %w", out.Kind, t.Slug, err)
	}
	out.Password, out.CredentialErr = password, err
	return out
}

func firstOf[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Stats are figures of the cache since Open.
type Stats struct {
	Known, Unknown      int       // entries now
	Hits, Misses, Stale uint64    // answered from memory; asked; answered from memory because the registry is down
	Changes             uint64    // applied
	SeenChange          int64     // the newest one's id
	Probes              uint64    // of the channel
	Listening           bool      // the channel of changes is open
	Down                bool      // the last question was not answered
	Heard               time.Time // when it last answered
	StandInUntil        time.Time // how long answers from memory stand in for it, if it goes on so
}

// Stats returns the cache's figures.
func (r *Registry) Stats() Stats {
	c := r.cache
	heard := time.Unix(0, c.heard.Load())
	return Stats{
		Heard: heard, StandInUntil: heard.Add(c.cfg.StaleMax),
		Known: c.known.Len(), Unknown: c.unknown.Len(),
		Hits: c.counters.hits.Load(), Misses: c.counters.misses.Load(), Stale: c.counters.stale.Load(),
		Changes: c.counters.changes.Load(), SeenChange: c.seen.Load(), Probes: c.counters.probes.Load(),
		Listening: c.listening.Load(), Down: c.retryAt.Load() != 0,
	}
}
