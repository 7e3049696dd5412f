package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	Console    string // what a service login may do in the console: "", stats or admin
	// Replication: it may open connections for logical replication, which read the
	// whole database of its tenant.
	Replication bool
	CreatedAt   time.Time
	ExpiresAt   *time.Time // look-ups know it no longer from then on; nil: never
	DisabledAt  *time.Time // look-ups do not know it; nil: it is not
}

// Cursor is what LoginFilter.After takes for the page that starts behind l.
func (l Login) Cursor() string { return l.Name + "/" + l.ID }

// NewLogin is what CreateLogin and PutLogin need.
type NewLogin struct {
	Name        string
	TenantID    string   // "": service login
	Kind        RoleKind // "": App
	Verifier    string   // from NewVerifier; CreateLogin makes a password if it is ""
	MaxClients  int
	PoolMode    string
	Params      map[string]string // session settings, as startup parameters would be
	Console     string            // "", stats or admin; only for a service login
	Replication bool
	ExpiresAt   time.Time     // zero: never
	Overlap     time.Duration // how long verifiers that it had stay valid; 0: not at all
	Actor       string
}

func (n NewLogin) withDefaults() NewLogin {
	n.Kind = firstOf(n.Kind, App)
	if n.Params == nil {
		n.Params = map[string]string{}
	}
	return n
}

func (n NewLogin) validate() error {
	if n.Name == "" || len(n.Name) > maxIdentifier || !utf8.ValidString(n.Name) || strings.ContainsRune(n.Name, 0) {
		return fmt.Errorf("%w: login name %q: it must have 1 to %d bytes of UTF-8", ErrInvalid, n.Name, maxIdentifier)
	}
	switch n.Kind {
	case Owner, App, ReadOnly:
	default:
		return fmt.Errorf("%w: role %q is none of owner, app, readonly", ErrInvalid, n.Kind)
	}
	if n.Kind == Owner && n.TenantID == "" {
		return fmt.Errorf("%w: only a tenant's own login can be its owner", ErrInvalid)
	}
	switch n.Console {
	case "":
	case "stats", "admin":
		if n.TenantID != "" {
			return fmt.Errorf("%w: the console shows all tenants: only a service login may look into it", ErrInvalid)
		}
	default:
		return fmt.Errorf("%w: console %q is none of stats, admin", ErrInvalid, n.Console)
	}
	if n.MaxClients < 0 || n.Overlap < 0 {
		return fmt.Errorf("%w: clients %d and overlap %v must not be negative", ErrInvalid, n.MaxClients, n.Overlap)
	}
	return checkPoolMode(n.PoolMode)
}

const (
	findLoginSQL = `
SELECT id::text FROM dermaga.logins
WHERE name = $1 AND tenant_id IS NOT DISTINCT FROM $2::text::uuid
FOR UPDATE`
	addLoginSQL = `
INSERT INTO dermaga.logins (name, tenant_id, kind, pool_mode, max_clients, params, console, expires_at, replication)
VALUES ($1, $2::text::uuid, $3::text::dermaga.role_kind, $4, nullif($5, 0), $6, $7, $8, $9)
RETURNING id::text`
	changeLoginSQL = `
UPDATE dermaga.logins
SET kind = $2::text::dermaga.role_kind, pool_mode = $3, max_clients = nullif($4, 0), params = $5, console = $6, expires_at = $7, replication = $8
WHERE id = $1::text::uuid`
	// loginsSQL takes id, tenant, service, name, text, after's name and id, and
	// limit; NULL: any.
	loginsSQL = `
SELECT l.id::text, l.name, coalesce(l.tenant_id::text, ''), l.tenant_id IS NULL, l.kind::text,
  ARRAY(SELECT v.verifier FROM dermaga.login_verifiers v
        WHERE v.login_id = l.id AND (v.valid_until IS NULL OR v.valid_until > now()) ORDER BY v.generation DESC),
  coalesce(l.max_clients, 0), coalesce(l.pool_mode, ''), l.params, coalesce(l.console, ''), l.replication,
  l.created_at, l.expires_at, l.disabled_at
FROM dermaga.logins l
WHERE ($1::text IS NULL OR l.id = $1::text::uuid)
  AND ($2::text IS NULL OR l.tenant_id = $2::text::uuid)
  AND (NOT $3::boolean OR l.tenant_id IS NULL)
  AND ($4::text IS NULL OR l.name = $4)
  AND ($5::text IS NULL OR strpos(lower(l.name), lower($5)) > 0)
  AND ($7::text IS NULL OR (l.name COLLATE "C", l.id) > ($6 COLLATE "C", $7::text::uuid))
ORDER BY l.name COLLATE "C", l.id
LIMIT $8`
)

// PutLogin makes a login, or gives the one that exists a new verifier and the
// other values of n. A name that is a service login's cannot become a tenant's,
// nor the other way round: ErrLoginTaken.
func (r *Registry) PutLogin(ctx context.Context, n NewLogin) (Login, error) {
	n = n.withDefaults()
	if err := n.validate(); err != nil {
		return Login{}, err
	}
	var l Login
	err := r.inTx(ctx, fmt.Sprintf("put login %q", n.Name), func(tx pgx.Tx) error {
		id, err := putLoginRow(ctx, tx, n)
		if err != nil {
			return err
		}
		if err := setVerifier(ctx, tx, id, n.Verifier, n.Overlap); err != nil {
			return err
		}
		if l, err = login(ctx, tx, id); err != nil {
			return err
		}
		return record(ctx, tx, Activity{
			TenantID: n.TenantID, Actor: n.Actor, Action: "login.put", Message: n.summary(),
		})
	})
	return l, err
}

// summary is n in the activities.
func (n NewLogin) summary() string {
	text := fmt.Sprintf("%s, %s", n.Name, n.Kind)
	if n.Replication {
		text += ", may replicate"
	}
	return text
}

func putLoginRow(ctx context.Context, tx pgx.Tx, n NewLogin) (id string, err error) {
	err = tx.QueryRow(ctx, findLoginSQL, n.Name, nullable(n.TenantID)).Scan(&id)
	switch {
	case err == nil:
		_, err = tx.Exec(ctx, changeLoginSQL, id, string(n.Kind), nullable(n.PoolMode), n.MaxClients, n.Params,
			nullable(n.Console), notZero(n.ExpiresAt), n.Replication)
	case errors.Is(err, pgx.ErrNoRows):
		id, err = addLogin(ctx, tx, n)
	}
	return id, err
}

func addLogin(ctx context.Context, tx pgx.Tx, n NewLogin) (id string, err error) {
	err = tx.QueryRow(ctx, addLoginSQL, n.Name, nullable(n.TenantID), string(n.Kind), nullable(n.PoolMode), n.MaxClients, n.Params,
		nullable(n.Console), notZero(n.ExpiresAt), n.Replication).Scan(&id)
	return id, err
}

// notZero gives NULL for the zero time.
func notZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// changedOne is errSame where a statement found nothing to change.
func changedOne(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return errSame
	}
	return err
}

// LoginByID returns a login, or ErrNotFound.
func (r *Registry) LoginByID(ctx context.Context, id string) (Login, error) {
	if id == "" {
		return Login{}, fmt.Errorf("login: %w", ErrNotFound)
	}
	l, err := login(ctx, r.pool, id)
	return l, explain("login "+id, err)
}

// LoginByName returns a tenant's login, or a service login if tenantID is "".
func (r *Registry) LoginByName(ctx context.Context, tenantID, name string) (Login, error) {
	if name == "" {
		return Login{}, fmt.Errorf("login: %w", ErrNotFound)
	}
	l, err := oneLogin(logins(ctx, r.pool, "", name, LoginFilter{TenantID: tenantID, Service: tenantID == ""}))
	return l, explain(fmt.Sprintf("login %q", name), err)
}

// A LoginFilter chooses logins. The zero LoginFilter means all.
type LoginFilter struct {
	TenantID string // those of one tenant
	Service  bool   // service logins only
	Text     string // part of the name, in any case
	After    string // the Cursor of the login after which the page starts
	Limit    int    // 0: all
}

// FindLogins returns the logins that f chooses, by name.
func (r *Registry) FindLogins(ctx context.Context, f LoginFilter) ([]Login, error) {
	found, err := logins(ctx, r.pool, "", "", f)
	return found, explain("list logins", err)
}

// Logins returns the logins of a tenant, or the service logins if tenantID is "".
func (r *Registry) Logins(ctx context.Context, tenantID string) ([]Login, error) {
	return r.FindLogins(ctx, LoginFilter{TenantID: tenantID, Service: tenantID == ""})
}

func login(ctx context.Context, db querier, id string) (Login, error) {
	return oneLogin(logins(ctx, db, id, "", LoginFilter{}))
}

func oneLogin(found []Login, err error) (Login, error) {
	if err != nil {
		return Login{}, err
	}
	if len(found) == 0 {
		return Login{}, pgx.ErrNoRows
	}
	return found[0], nil
}

func logins(ctx context.Context, db querier, id, name string, f LoginFilter) ([]Login, error) {
	var limit *int
	if f.Limit > 0 {
		limit = &f.Limit
	}
	var afterName, afterID string
	if f.After != "" {
		slash := strings.LastIndexByte(f.After, '/')
		if slash < 0 {
			return nil, fmt.Errorf("%w: %q is no login's cursor", ErrInvalid, f.After)
		}
		afterName, afterID = f.After[:slash], f.After[slash+1:]
	}
	rows, err := db.Query(ctx, loginsSQL, nullable(id), nullable(f.TenantID), f.Service, nullable(name), nullable(f.Text),
		afterName, nullable(afterID), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Login])
}
