package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
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

	Console    string     // what it may do in the console: "", stats or admin
	CreatedAt  time.Time  // not filled by Lookup, nor is what follows but ExpiresAt
	ExpiresAt  *time.Time // look-ups know it no longer from then on; nil: never
	DisabledAt *time.Time // nil: it is not
}

// NewLogin is what PutLogin needs.
type NewLogin struct {
	Name       string
	TenantID   string   // "": service login
	Kind       RoleKind // "": App
	Verifier   string   // from NewVerifier; CreateLogin makes one if it is ""
	MaxClients int
	PoolMode   string
	Params     map[string]string // session settings, as startup parameters would be
	Console    string            // "", stats or admin
	ExpiresAt  time.Time         // zero: never
	Overlap    time.Duration     // how long verifiers that it had stay valid; 0: not at all
	Actor      string
}

const (
	findLoginSQL = `
SELECT id::text FROM dermaga.logins
WHERE name = $1 AND tenant_id IS NOT DISTINCT FROM $2::text::uuid
FOR UPDATE`
	addLoginSQL = `
INSERT INTO dermaga.logins (name, tenant_id, kind, pool_mode, max_clients, params)
VALUES ($1, $2::text::uuid, $3::text::dermaga.role_kind, $4, nullif($5, 0), $6)
RETURNING id::text`
	changeLoginSQL = `
UPDATE dermaga.logins
SET kind = $2::text::dermaga.role_kind, pool_mode = $3, max_clients = nullif($4, 0), params = $5
WHERE id = $1::text::uuid`
	endVerifiersSQL = `
UPDATE dermaga.login_verifiers SET valid_until = now() + $2::bigint * interval '1 microsecond'
WHERE login_id = $1::text::uuid AND (valid_until IS NULL OR valid_until > now() + $2::bigint * interval '1 microsecond')`
	addVerifierSQL = `
INSERT INTO dermaga.login_verifiers (login_id, generation, verifier)
SELECT $1::text::uuid, coalesce(max(generation), 0) + 1, $2 FROM dermaga.login_verifiers WHERE login_id = $1::text::uuid`
	sweepVerifiersSQL = `DELETE FROM dermaga.login_verifiers WHERE login_id = $1::text::uuid AND valid_until <= now()`
	loginsSQL         = `
SELECT l.id::text, l.name, coalesce(l.tenant_id::text, ''), l.tenant_id IS NULL, l.kind::text,
  ARRAY(SELECT v.verifier FROM dermaga.login_verifiers v
        WHERE v.login_id = l.id AND (v.valid_until IS NULL OR v.valid_until > now()) ORDER BY v.generation DESC),
  coalesce(l.max_clients, 0), coalesce(l.pool_mode, ''), l.params, '', l.created_at, NULL::timestamptz, NULL::timestamptz
FROM dermaga.logins l
WHERE l.tenant_id IS NOT DISTINCT FROM $1::text::uuid
ORDER BY l.name`
)

// PutLogin makes a login, or gives the one that exists a new verifier and the
// other values of n. A name that is a service login's cannot become a tenant's,
// nor the other way round: ErrLoginTaken.
func (r *Registry) PutLogin(ctx context.Context, n NewLogin) (Login, error) {
	n.Kind = firstOf(n.Kind, App)
	if n.Params == nil {
		n.Params = map[string]string{}
	}
	if n.Name == "" || len(n.Name) > maxIdentifier || !utf8.ValidString(n.Name) || strings.ContainsRune(n.Name, 0) {
		return Login{}, fmt.Errorf("%w: login name %q: it must have 1 to %d bytes of UTF-8", ErrInvalid, n.Name, maxIdentifier)
	}
	var l Login
	err := r.inTx(ctx, fmt.Sprintf("put login %q", n.Name), func(tx pgx.Tx) error {
		id, err := putLoginRow(ctx, tx, n)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, endVerifiersSQL, id, n.Overlap.Microseconds()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, addVerifierSQL, id, n.Verifier); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sweepVerifiersSQL, id); err != nil {
			return err
		}
		all, err := logins(ctx, tx, n.TenantID)
		if err != nil {
			return err
		}
		for _, one := range all {
			if one.ID == id {
				l = one
			}
		}
		return record(ctx, tx, Activity{
			TenantID: n.TenantID, Actor: n.Actor, Action: "login.put", Message: fmt.Sprintf("%s, %s", n.Name, n.Kind),
		})
	})
	return l, err
}

func putLoginRow(ctx context.Context, tx pgx.Tx, n NewLogin) (id string, err error) {
	err = tx.QueryRow(ctx, findLoginSQL, n.Name, nullable(n.TenantID)).Scan(&id)
	switch {
	case err == nil:
		_, err = tx.Exec(ctx, changeLoginSQL, id, string(n.Kind), nullable(n.PoolMode), n.MaxClients, n.Params)
	case errors.Is(err, pgx.ErrNoRows):
		err = tx.QueryRow(ctx, addLoginSQL, n.Name, nullable(n.TenantID), string(n.Kind), nullable(n.PoolMode), n.MaxClients, n.Params).Scan(&id)
	}
	return id, err
}

// Logins returns the logins of a tenant, or the service logins if tenantID is "".
func (r *Registry) Logins(ctx context.Context, tenantID string) ([]Login, error) {
	found, err := logins(ctx, r.pool, tenantID)
	return found, explain("list logins", err)
}

// LoginByID returns a login, or ErrNotFound.
func (r *Registry) LoginByID(ctx context.Context, id string) (Login, error) {
	return Login{}, ErrUnavailable
}

// LoginByName returns a tenant's login, or a service login if tenantID is "".
func (r *Registry) LoginByName(ctx context.Context, tenantID, name string) (Login, error) {
	return Login{}, ErrUnavailable
}

// A LoginFilter chooses logins. The zero LoginFilter means all.
type LoginFilter struct {
	TenantID string // those of one tenant
	Service  bool   // service logins only
	Text     string // part of the name, in any case
	After    string // id after which the page starts: the cursor
	Limit    int    // 0: all
}

// FindLogins returns the logins that f chooses, by name.
func (r *Registry) FindLogins(ctx context.Context, f LoginFilter) ([]Login, error) {
	return nil, ErrUnavailable
}

func logins(ctx context.Context, db querier, tenantID string) ([]Login, error) {
	rows, err := db.Query(ctx, loginsSQL, nullable(tenantID))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Login])
}
