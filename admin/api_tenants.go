package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

// operation is what all operations about tenants have in common.
func operation(id, method, path, summary string, role registry.TokenRole, errorCodes ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		Security: []map[string][]string{{"token": {}}},
		Metadata: map[string]any{needs: role},
		Errors:   append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}, errorCodes...),
		// readBody has bounded both.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
}

func (a *api) addTenants(ops huma.API) {
	create := operation("create-tenant", http.MethodPost, "/v1/tenants", "Provision a tenant",
		registry.Operator, http.StatusConflict, http.StatusRequestEntityTooLarge)
	create.DefaultStatus = http.StatusCreated
	huma.Register(ops, create, a.createTenant)
	huma.Register(ops, operation("list-tenants", http.MethodGet, "/v1/tenants", "List tenants",
		registry.Viewer), a.listTenants)
	huma.Register(ops, operation("get-tenant", http.MethodGet, "/v1/tenants/{slug}", "Show a tenant",
		registry.Viewer, http.StatusNotFound), a.getTenant)
	huma.Register(ops, operation("list-activities", http.MethodGet, "/v1/tenants/{slug}/activities", "List what was done to a tenant, newest first",
		registry.Viewer, http.StatusNotFound), a.listActivities)
}

type createInput struct{ Body client.NewTenant }

type createOutput struct {
	Location string `header:"Location"`
	Body     client.Created
}

func (a *api) createTenant(ctx context.Context, in *createInput) (*createOutput, error) {
	b := in.Body
	made, err := provision.Tenant(ctx, a.Provision, provision.Request{
		Slug: b.Slug, Name: b.Name, Plan: b.Plan, PoolSize: b.PoolSize, PoolMode: b.PoolMode, MaxClients: b.MaxClients,
		Actor: actor(ctx),
	})
	if errors.Is(err, registry.ErrSlugTaken) {
		return nil, huma.NewError(http.StatusConflict, a.taken(ctx, b.Slug))
	}
	if err != nil {
		return nil, a.refuse("create-tenant", err)
	}
	return &createOutput{
		Location: "/v1/tenants/" + made.Tenant.Slug,
		Body: client.Created{
			Slug:   made.Tenant.Slug,
			Status: string(made.Tenant.Status),
			URL:    a.TenantURL(made.Tenant.Slug, made.Login, made.Password),
		},
	}, nil
}

// taken says who has the slug, and why it is still taken when its provisioning
// failed: the row and its activities are the record of that.
func (a *api) taken(ctx context.Context, slug string) string {
	text := "a tenant " + slug + " exists already"
	t, err := a.Registry.TenantBySlug(ctx, slug)
	switch {
	case err != nil:
		return text
	case t.Status == registry.Suspended:
		return text + " and is SUSPENDED (" + t.StatusReason + "): choose another slug; dermaga tenant show " + slug + " tells more"
	}
	return text + " (" + string(t.Status) + "): choose another slug"
}

type listInput struct {
	Status string `query:"status" enum:"PROVISIONING,MIGRATING,ACTIVE,SUSPENDED,DELETED" doc:"Only these; without it all but the deleted"`
	After  string `query:"after" doc:"Slug after which the page starts"`
	Limit  int    `query:"limit" minimum:"0" maximum:"10000" doc:"Most tenants to answer; 0: all"`
}

type listOutput struct{ Body client.Tenants }

func (a *api) listTenants(ctx context.Context, in *listInput) (*listOutput, error) {
	found, err := a.Registry.Tenants(ctx, registry.Filter{
		Status: registry.Status(in.Status), After: in.After, Limit: in.Limit,
	})
	if err != nil {
		return nil, a.refuse("list-tenants", err)
	}
	out := &listOutput{Body: client.Tenants{Tenants: make([]client.Tenant, len(found))}}
	for i, t := range found {
		out.Body.Tenants[i] = tenantBody(t)
	}
	return out, nil
}

type slugInput struct {
	Slug string `path:"slug"`
}

type tenantOutput struct{ Body client.Tenant }

func (a *api) getTenant(ctx context.Context, in *slugInput) (*tenantOutput, error) {
	t, err := a.find(ctx, in.Slug)
	if err != nil {
		return nil, err
	}
	return &tenantOutput{Body: tenantBody(t)}, nil
}

// find returns the tenant, or the answer that there is none.
func (a *api) find(ctx context.Context, slug string) (registry.Tenant, error) {
	t, err := a.Registry.TenantBySlug(ctx, slug)
	if errors.Is(err, registry.ErrNotFound) {
		return t, huma.NewError(http.StatusNotFound, "there is no tenant "+slug)
	}
	if err != nil {
		return t, a.refuse("find tenant", err)
	}
	return t, nil
}

type activitiesInput struct {
	Slug  string `path:"slug"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type activitiesOutput struct{ Body client.Activities }

func (a *api) listActivities(ctx context.Context, in *activitiesInput) (*activitiesOutput, error) {
	t, err := a.find(ctx, in.Slug)
	if err != nil {
		return nil, err
	}
	found, err := a.Registry.Activities(ctx, t.ID, in.Limit)
	if err != nil {
		return nil, a.refuse("list-activities", err)
	}
	out := &activitiesOutput{Body: client.Activities{Activities: make([]client.Activity, len(found))}}
	for i, f := range found {
		out.Body.Activities[i] = client.Activity{At: f.At, Actor: f.Actor, Action: f.Action, Outcome: f.Outcome, Message: f.Message}
	}
	return out, nil
}

func tenantBody(t registry.Tenant) client.Tenant {
	return client.Tenant{
		ID: t.ID, Slug: t.Slug, Name: t.Name, Plan: t.Plan,
		Status: string(t.Status), StatusReason: t.StatusReason,
		Server: t.Server, Database: t.Database,
		PoolSize: t.Overrides.PoolSize, PoolMode: t.Overrides.PoolMode, MaxClients: t.Overrides.MaxClients,
		SchemaVersion: t.SchemaVersion, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
}
