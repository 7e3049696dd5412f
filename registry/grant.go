package registry

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A Grant lets a service login reach one tenant, or all.
type Grant struct {
	TenantID string // "": all tenants, those to come included
	Slug     string
}

// Grants returns what a service login may reach, the one for all first.
func (r *Registry) Grants(ctx context.Context, loginID string) ([]Grant, error) {
	return nil, ErrUnavailable
}

// GrantSlugs grants tenants by slug, all of them or, if one is unknown, none:
// ErrNotFound names it.
func (r *Registry) GrantSlugs(ctx context.Context, loginID string, slugs []string, act Act) error {
	return ErrUnavailable
}

// RevokeSlugs takes grants of single tenants back. A grant for all is taken back
// by Revoke with tenant "".
func (r *Registry) RevokeSlugs(ctx context.Context, loginID string, slugs []string, act Act) error {
	return ErrUnavailable
}

const (
	grantSQL = `
INSERT INTO dermaga.login_grants (login_id, tenant_id)
SELECT id, $2::text::uuid FROM dermaga.logins WHERE id = $1::text::uuid AND tenant_id IS NULL
ON CONFLICT DO NOTHING`
	serviceLoginSQL = `SELECT tenant_id IS NULL FROM dermaga.logins WHERE id = $1::text::uuid`
	revokeSQL       = `
DELETE FROM dermaga.login_grants
WHERE login_id = $1::text::uuid AND tenant_id IS NOT DISTINCT FROM $2::text::uuid`
)

// Grant lets a service login reach a tenant; tenantID "" means every tenant,
// those to come included. What was granted already is no error.
func (r *Registry) Grant(ctx context.Context, loginID, tenantID string, act Act) error {
	return r.inTx(ctx, "grant", func(tx pgx.Tx) error {
		var service bool
		if err := tx.QueryRow(ctx, serviceLoginSQL, loginID).Scan(&service); err != nil {
			return err
		}
		if !service {
			return fmt.Errorf("%w: a tenant's own login takes no grants", ErrInvalid)
		}
		tag, err := tx.Exec(ctx, grantSQL, loginID, nullable(tenantID))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return record(ctx, tx, Activity{TenantID: tenantID, Actor: act.Actor, Action: "login.grant", Message: firstOf(act.Message, "login "+loginID)})
	})
}

// Revoke takes back what Grant gave. What was not granted is no error.
func (r *Registry) Revoke(ctx context.Context, loginID, tenantID string, act Act) error {
	return r.inTx(ctx, "revoke", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, revokeSQL, loginID, nullable(tenantID))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return record(ctx, tx, Activity{TenantID: tenantID, Actor: act.Actor, Action: "login.revoke", Message: firstOf(act.Message, "login "+loginID)})
	})
}
