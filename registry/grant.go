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

const (
	grantSQL = `
INSERT INTO dermaga.login_grants (login_id, tenant_id)
SELECT id, $2::text::uuid FROM dermaga.logins WHERE id = $1::text::uuid AND tenant_id IS NULL
ON CONFLICT DO NOTHING`
	revokeSQL = `
DELETE FROM dermaga.login_grants
WHERE login_id = $1::text::uuid AND tenant_id IS NOT DISTINCT FROM $2::text::uuid`
	grantsSQL = `
SELECT coalesce(t.id::text, ''), coalesce(t.slug, '')
FROM dermaga.login_grants g
LEFT JOIN dermaga.tenants t ON t.id = g.tenant_id
WHERE g.login_id = $1::text::uuid AND (t.id IS NULL OR t.purged_at IS NULL)
ORDER BY t.slug COLLATE "C" NULLS FIRST`
)

// Grants returns what a service login may reach, the one for all first.
func (r *Registry) Grants(ctx context.Context, loginID string) ([]Grant, error) {
	rows, err := r.pool.Query(ctx, grantsSQL, loginID)
	if err != nil {
		return nil, explain("list grants", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Grant])
	return found, explain("list grants", err)
}

// Grant lets a service login reach a tenant; tenantID "" means every tenant,
// those to come included. What was granted already is no error.
func (r *Registry) Grant(ctx context.Context, loginID, tenantID string, act Act) error {
	return r.inTx(ctx, "grant", func(tx pgx.Tx) error {
		return grant(ctx, tx, loginID, tenantID, act)
	})
}

// GrantSlugs grants tenants by slug, all of them or, if one is unknown, none:
// ErrNotFound names it.
func (r *Registry) GrantSlugs(ctx context.Context, loginID string, slugs []string, act Act) error {
	return r.inTx(ctx, "grant", func(tx pgx.Tx) error {
		return eachTenant(ctx, tx, slugs, func(id string) error { return grant(ctx, tx, loginID, id, act) })
	})
}

// Revoke takes back what Grant gave. What was not granted is no error.
func (r *Registry) Revoke(ctx context.Context, loginID, tenantID string, act Act) error {
	return r.inTx(ctx, "revoke", func(tx pgx.Tx) error {
		return revoke(ctx, tx, loginID, tenantID, act)
	})
}

// RevokeSlugs takes grants of single tenants back, all or none, as GrantSlugs. A
// grant for all is taken back by Revoke with tenant "".
func (r *Registry) RevokeSlugs(ctx context.Context, loginID string, slugs []string, act Act) error {
	return r.inTx(ctx, "revoke", func(tx pgx.Tx) error {
		return eachTenant(ctx, tx, slugs, func(id string) error { return revoke(ctx, tx, loginID, id, act) })
	})
}

func eachTenant(ctx context.Context, tx pgx.Tx, slugs []string, do func(id string) error) error {
	for _, slug := range slugs {
		if slug == "" {
			return fmt.Errorf("%w: a slug is empty", ErrInvalid)
		}
		t, err := tenant(ctx, tx, "", slug)
		if err != nil {
			return explain(fmt.Sprintf("tenant %q", slug), err)
		}
		if err := do(t.ID); err != nil {
			return err
		}
	}
	return nil
}

func grant(ctx context.Context, tx pgx.Tx, loginID, tenantID string, act Act) error {
	l, err := login(ctx, tx, loginID)
	if err != nil {
		return err
	}
	if !l.Service {
		return fmt.Errorf("%w: a tenant's own login takes no grants", ErrInvalid)
	}
	tag, err := tx.Exec(ctx, grantSQL, loginID, nullable(tenantID))
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return record(ctx, tx, grantActivity(l, "grant", tenantID, act))
}

func revoke(ctx context.Context, tx pgx.Tx, loginID, tenantID string, act Act) error {
	l, err := login(ctx, tx, loginID)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, revokeSQL, loginID, nullable(tenantID))
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return record(ctx, tx, grantActivity(l, "revoke", tenantID, act))
}

// grantActivity stands in the tenant's own log, so that its operator sees who
// may reach it.
func grantActivity(l Login, verb, tenantID string, act Act) Activity {
	what := ""
	if tenantID == "" {
		what = "all tenants"
	}
	a := loginActivity(l, verb, what, act)
	a.TenantID = tenantID
	return a
}
