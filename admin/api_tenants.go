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
	retry := operation("retry-tenant", http.MethodPost, "/v1/tenants/{slug}/retry", "Provision a tenant whose provisioning failed",
		registry.Operator, http.StatusNotFound, http.StatusConflict)
	huma.Register(ops, retry, a.retryTenant)
	huma.Register(ops, operation("list-tenants", http.MethodGet, "/v1/tenants", "List tenants",
		registry.Viewer), a.listTenants)
	huma.Register(ops, operation("get-tenant", http.MethodGet, "/v1/tenants/{slug}", "Show a tenant",
		registry.Viewer, http.StatusNotFound), a.getTenant)
	huma.Register(ops, operation("set-tenant", http.MethodPatch, "/v1/tenants/{slug}", "Change a tenant's plan and limits",
		registry.Operator, http.StatusNotFound, http.StatusConflict), a.setTenant)
	huma.Register(ops, operation("reset-password", http.MethodPost, "/v1/tenants/{slug}/password", "Give the tenant's first login a new password",
		registry.Operator, http.StatusNotFound, http.StatusConflict), a.resetPassword)
}

type createInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"A second request with the same key gets the first one's answer"`
	Body client.NewTenant
}

func (a *api) createTenant(ctx context.Context, in *createInput) (*made[client.Created], error) {
	b := in.Body
	return once(ctx, a, in.Key, "create-tenant", b, func() (*made[client.Created], error) {
		done, err := provision.Tenant(ctx, a.Provision, provision.Request{
			Slug: b.Slug, Name: b.Name, Plan: b.Plan, PoolSize: b.PoolSize, PoolMode: b.PoolMode, MaxClients: b.MaxClients,
			Actor: actor(ctx),
		})
		if errors.Is(err, registry.ErrSlugTaken) {
			return nil, huma.NewError(http.StatusConflict, a.taken(ctx, b.Slug))
		}
		if err != nil {
			return nil, a.refuse("create-tenant", err)
		}
		return a.provisioned(done), nil
	})
}

func (a *api) provisioned(done provision.Result) *made[client.Created] {
	slug := done.Tenant.Slug
	return &made[client.Created]{
		Location: "/v1/tenants/" + slug,
		Body: client.Created{
			Slug: slug, Status: string(done.Tenant.Status), URL: a.TenantURL(slug, done.Login, done.Password),
		},
	}
}

// taken says who has the slug, and what to do when its provisioning failed: the
// row and its activities are the record of that.
func (a *api) taken(ctx context.Context, slug string) string {
	text := "a tenant " + slug + " exists already"
	t, err := a.Registry.TenantBySlug(ctx, slug)
	if err != nil {
		return text
	}
	switch finished, err := provision.Provisioned(ctx, a.Registry, t.ID); {
	case err == nil && !finished && t.Status == registry.Suspended:
		return text + " and was never finished (" + t.StatusReason + "): to try again, dermaga tenant retry " + slug
	case t.Status == registry.Deleted:
		return text + " and is DELETED: choose another slug, or dermaga tenant restore " + slug
	}
	return text + " (" + string(t.Status) + "): choose another slug"
}

// retryTenant takes what the tenant was to be from its row.
func (a *api) retryTenant(ctx context.Context, in *slugInput) (*made[client.Created], error) {
	t, err := a.find(ctx, in.Slug)
	if err != nil {
		return nil, err
	}
	done, err := provision.Resume(ctx, a.Provision, provision.Request{
		Slug: t.Slug, Name: t.Name, Plan: t.Plan, PoolSize: t.Overrides.PoolSize, PoolMode: t.Overrides.PoolMode,
		MaxClients: t.Overrides.MaxClients, Actor: actor(ctx),
	})
	if err != nil {
		return nil, a.refuse("retry-tenant", err)
	}
	return a.provisioned(done), nil
}

type listInput struct {
	Page
	Status string `query:"status" enum:"PROVISIONING,MIGRATING,ACTIVE,SUSPENDED,DELETED" doc:"Only these; without it all but the deleted"`
	Plan   string `query:"plan" doc:"Only those with this plan"`
	Server string `query:"server" doc:"Only those on this server"`
	Text   string `query:"text" doc:"Only those with this in the slug or the name"`
}

type listOutput struct{ Body client.Tenants }

func (a *api) listTenants(ctx context.Context, in *listInput) (*listOutput, error) {
	found, err := a.Registry.Tenants(ctx, registry.Filter{
		Status: registry.Status(in.Status), Plan: in.Plan, Server: in.Server, Text: in.Text,
		After: in.Cursor, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, a.refuse("list-tenants", err)
	}
	out := &listOutput{Body: client.Tenants{Tenants: []client.Tenant{}}}
	found, more := cut(found, in.Limit)
	for _, t := range found {
		out.Body.Tenants = append(out.Body.Tenants, tenantBody(t))
	}
	if more {
		out.Body.Next = found[len(found)-1].Slug
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

func tenantBody(t registry.Tenant) client.Tenant {
	return client.Tenant{
		ID: t.ID, Slug: t.Slug, Name: t.Name, Plan: t.Plan,
		Status: string(t.Status), StatusReason: t.StatusReason,
		Server: t.Server, Database: t.Database,
		PoolSize: t.Overrides.PoolSize, MinPoolSize: t.Overrides.MinPoolSize,
		PoolMode: t.Overrides.PoolMode, MaxClients: t.Overrides.MaxClients,
		Settings: t.Overrides.Settings(), SchemaVersion: t.SchemaVersion, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
		DeletedAt: t.DeletedAt, PurgeAfter: t.PurgeAfter,
	}
}
