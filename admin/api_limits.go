package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

type setInput struct {
	Slug string `path:"slug"`
	Body client.TenantChange
}

// setTenant writes the limits down, which tells the brokers, and then brings the
// tenant's roles at its server up to them.
func (a *api) setTenant(ctx context.Context, in *setInput) (*tenantOutput, error) {
	t, err := a.find(ctx, in.Slug)
	if err != nil {
		return nil, err
	}
	if t.Status == registry.Deleted {
		return nil, huma.NewError(http.StatusConflict, "tenant "+t.Slug+" is DELETED: restore it first")
	}
	b := in.Body
	if err := provision.CheckLimits(value(b.PoolSize), value(b.MaxClients), value(b.PoolMode)); err != nil {
		return nil, a.refuse("set-tenant", err)
	}
	if b.Plan != "" {
		if err := a.knownPlan(ctx, b.Plan); err != nil {
			return nil, err
		}
	}
	changed, err := a.Registry.SetLimits(ctx, t.ID, registry.Limits{
		Plan: b.Plan, PoolSize: b.PoolSize, MaxClients: b.MaxClients, MinPoolSize: b.MinPoolSize, PoolMode: b.PoolMode,
	}, registry.Act{Actor: actor(ctx)})
	if err != nil {
		return nil, a.refuse("set-tenant", err)
	}
	if err := a.relimit(ctx, changed); err != nil {
		return nil, err
	}
	return &tenantOutput{Body: tenantBody(changed)}, nil
}

func (a *api) knownPlan(ctx context.Context, name string) error {
	plans, err := a.Registry.Plans(ctx)
	if err != nil {
		return a.refuse("list plans", err)
	}
	names := make([]string, len(plans))
	for i, p := range plans {
		if p.Name == name {
			return nil
		}
		names[i] = p.Name
	}
	return huma.NewError(http.StatusUnprocessableEntity, "plan "+name+" is unknown: want one of "+strings.Join(names, ", "))
}

// relimit does nothing for a tenant that never had roles.
func (a *api) relimit(ctx context.Context, t registry.Tenant) error {
	err := provision.Relimit(ctx, a.Provision, t)
	if err == nil || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	a.Log.Error("admin request failed", "operation", "set-tenant", "tenant", t.Slug, "error", err)
	return huma.NewError(http.StatusBadGateway,
		"the limits are written down and hold at the brokers, but server "+t.Server+" could not be told: try again")
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
