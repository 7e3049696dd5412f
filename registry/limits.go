package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Limits are what SetLimits changes. Nil or "" leaves a value as it is; a pointer
// to zero gives the tenant its plan's again.
type Limits struct {
	Plan        string
	PoolSize    *int // server connections
	MaxClients  *int
	MinPoolSize *int    // server connections kept open; at most the pool size
	PoolMode    *string // auto, session, transaction or statement
	// Settings are those of OwnSettings, as typed; "" gives the tenant the
	// broker's again.
	Settings map[string]string
}

const (
	lockTenantSQL = `SELECT FROM dermaga.tenants WHERE id = $1::text::uuid AND purged_at IS NULL FOR NO KEY UPDATE`
	// setLimitsSQL keeps overrides that only a newer release knows.
	setLimitsSQL = `
UPDATE dermaga.tenants SET plan = $2, overrides = jsonb_strip_nulls(overrides || $3::jsonb)
WHERE id = $1::text::uuid`
)

// SetPlan gives a tenant another plan. Its own limits stay. ErrInvalid: no such
// plan.
func (r *Registry) SetPlan(ctx context.Context, tenantID, plan string, act Act) (Tenant, error) {
	return r.SetLimits(ctx, tenantID, Limits{Plan: plan}, act)
}

// SetLimits changes a tenant's plan and its own limits together. Nothing is
// written, nor announced, if all is as it was. Errors: ErrNotFound, ErrInvalid,
// ErrConflict.
func (r *Registry) SetLimits(ctx context.Context, tenantID string, l Limits, act Act) (Tenant, error) {
	var t Tenant
	err := r.inTx(ctx, "set limits", func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, lockTenantSQL, tenantID).Scan(); err != nil {
			return err
		}
		before, err := tenant(ctx, tx, tenantID, "")
		if err != nil {
			return err
		}
		if act.Version != 0 && act.Version != before.Version {
			return conflict(before.Slug, before.Version, act.Version)
		}
		if t, err = l.of(before); err != nil {
			return err
		}
		changes := difference(before, t)
		if len(changes) == 0 {
			return nil
		}
		if err := checkLimits(ctx, tx, t); err != nil {
			return err
		}
		patch, err := t.Overrides.patch()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, setLimitsSQL, tenantID, t.Plan, patch); err != nil {
			return err
		}
		if t, err = tenant(ctx, tx, tenantID, ""); err != nil {
			return err
		}
		message := strings.Join(changes, ", ")
		if act.Message != "" {
			message += ": " + act.Message
		}
		return record(ctx, tx, Activity{TenantID: tenantID, Actor: act.Actor, Action: "tenant.limits", Message: message})
	})
	return t, err
}

// of returns t with these limits.
func (l Limits) of(t Tenant) (Tenant, error) {
	t.Plan = firstOf(l.Plan, t.Plan)
	for _, set := range []struct{ to, of *int }{
		{l.PoolSize, &t.Overrides.PoolSize},
		{l.MaxClients, &t.Overrides.MaxClients},
		{l.MinPoolSize, &t.Overrides.MinPoolSize},
	} {
		if set.to != nil {
			*set.of = *set.to
		}
	}
	if l.PoolMode != nil {
		t.Overrides.PoolMode = *l.PoolMode
	}
	return t, t.Overrides.set(l.Settings)
}

// difference names what changed, for the activities.
func difference(before, after Tenant) (changes []string) {
	for _, c := range []struct {
		name     string
		was, now any
	}{
		{"plan", before.Plan, after.Plan},
		{"pool_size", before.Overrides.PoolSize, after.Overrides.PoolSize},
		{"max_clients", before.Overrides.MaxClients, after.Overrides.MaxClients},
		{"min_pool_size", before.Overrides.MinPoolSize, after.Overrides.MinPoolSize},
		{"pool_mode", before.Overrides.PoolMode, after.Overrides.PoolMode},
	} {
		if c.was != c.now {
			changes = append(changes, fmt.Sprintf("%s %s to %s", c.name, orPlans(c.was), orPlans(c.now)))
		}
	}
	for _, own := range ownSettings {
		if was, now := own.get(before.Overrides), own.get(after.Overrides); was != now {
			changes = append(changes, fmt.Sprintf("%s %s to %s", own.name, firstOf(was, "the broker's"), firstOf(now, "the broker's")))
		}
	}
	return changes
}

func orPlans(v any) string {
	if v == 0 || v == "" {
		return "the plan's"
	}
	return fmt.Sprint(v)
}

// checkLimits checks t's own limits by themselves and against its plan's.
func checkLimits(ctx context.Context, db querier, t Tenant) error {
	if err := t.Overrides.validate(); err != nil {
		return err
	}
	plan, err := plans(ctx, db, t.Plan)
	if err != nil {
		return err
	}
	if len(plan) == 0 {
		return fmt.Errorf("%w: there is no plan %q", ErrInvalid, t.Plan)
	}
	if size := firstOf(t.Overrides.PoolSize, plan[0].ServerConnections); t.Overrides.MinPoolSize > size {
		return fmt.Errorf("%w: min_pool_size %d is more than the pool size %d", ErrInvalid, t.Overrides.MinPoolSize, size)
	}
	return nil
}

// PoolModes are the ways to share server connections, the default first.
var PoolModes = []string{"auto", "transaction", "statement", "session"}

func checkPoolMode(mode string) error {
	if mode == "" || slices.Contains(PoolModes, mode) {
		return nil
	}
	return fmt.Errorf("%w: pool mode %q is none of %s", ErrInvalid, mode, strings.Join(PoolModes, ", "))
}
