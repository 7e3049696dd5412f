package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

type setInput struct {
	Slug    string `path:"slug"`
	Body    client.TenantChange
	RawBody []byte
}

// change is the body, in which null takes a limit of the tenant's own back, as
// zero does: a pointer cannot tell it from what is absent.
func (in *setInput) change() client.TenantChange {
	b := in.Body
	var sent map[string]any
	if json.Unmarshal(in.RawBody, &sent) != nil {
		return b // it was JSON for the body
	}
	for name, limit := range map[string]**int{"poolSize": &b.PoolSize, "minPoolSize": &b.MinPoolSize, "maxClients": &b.MaxClients} {
		if v, is := sent[name]; is && v == nil {
			*limit = new(int)
		}
	}
	if v, is := sent["poolMode"]; is && v == nil {
		b.PoolMode = new(string)
	}
	return b
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
	b := in.change()
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
		Settings: b.Settings,
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
	a.Log.Error(eventRefused, keyOperation, "set-tenant", keyTenant, t.Slug, keyError, err)
	return huma.NewError(http.StatusBadGateway,
		"the limits are written down and hold at the brokers, but server "+t.Server+" could not be told: try again")
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
