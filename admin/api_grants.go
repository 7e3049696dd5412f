package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func (a *api) addGrants(ops huma.API) {
	huma.Register(ops, operation("grant-login", http.MethodPost, "/v1/logins/{name}/grant", "Let a service login reach tenants",
		registry.Admin, http.StatusNotFound),
		func(ctx context.Context, in *grantInput) (*loginChangedOutput, error) {
			return a.changeGrants(ctx, "grant-login", in, a.grant)
		})
	huma.Register(ops, operation("revoke-login", http.MethodPost, "/v1/logins/{name}/revoke", "Take tenants back from a service login",
		registry.Admin, http.StatusNotFound),
		func(ctx context.Context, in *grantInput) (*loginChangedOutput, error) {
			return a.changeGrants(ctx, "revoke-login", in, a.revoke)
		})
}

type grantInput struct {
	Name string `path:"name"`
	Body client.Tenancies
}

func (a *api) changeGrants(ctx context.Context, what string, in *grantInput,
	do func(ctx context.Context, loginID string, tenants []string, act registry.Act) error,
) (*loginChangedOutput, error) {
	if err := a.knownTenants(ctx, in.Body.Tenants); err != nil {
		return nil, err
	}
	return a.changeLogin(ctx, what, &LoginPath{Name: in.Name}, func(l registry.Login, act registry.Act) error {
		return do(ctx, l.ID, in.Body.Tenants, act)
	})
}

// grant lets a login reach tenants, or all of them.
func (a *api) grant(ctx context.Context, loginID string, tenants []string, act registry.Act) error {
	if slices.Contains(tenants, client.AllTenants) {
		return a.Registry.Grant(ctx, loginID, "", act)
	}
	return a.Registry.GrantSlugs(ctx, loginID, tenants, act)
}

// revoke takes tenants back. All of them means the single ones too.
func (a *api) revoke(ctx context.Context, loginID string, tenants []string, act registry.Act) error {
	if !slices.Contains(tenants, client.AllTenants) {
		return a.Registry.RevokeSlugs(ctx, loginID, tenants, act)
	}
	had, err := a.Registry.Grants(ctx, loginID)
	for _, g := range had {
		err = errors.Join(err, a.Registry.Revoke(ctx, loginID, g.TenantID, act))
	}
	return err
}

func (a *api) grantSlugs(ctx context.Context, loginID string) ([]string, error) {
	grants, err := a.Registry.Grants(ctx, loginID)
	out := []string{}
	for _, g := range grants {
		if g.TenantID == "" {
			out = append(out, client.AllTenants)
		} else {
			out = append(out, g.Slug)
		}
	}
	return out, err
}

// knownTenants answers with the first slug that no tenant has.
func (a *api) knownTenants(ctx context.Context, slugs []string) error {
	for _, s := range slugs {
		if s == client.AllTenants {
			continue
		}
		if _, err := a.find(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func loginLocation(l client.Login) string {
	at := "/v1/logins/" + url.PathEscape(l.Name)
	if l.Tenant != "" {
		at += "?tenant=" + url.QueryEscape(l.Tenant)
	}
	return at
}
