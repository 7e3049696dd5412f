package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

// A service login opens the data of every tenant that it is granted, one that
// replicates keeps a server's WAL, and an owner's can drop all that a tenant has:
// it takes an admin's token to change these, and an operator's for a tenant's other
// logins.
const (
	serviceLogins     = "changing a service login"
	replicationLogins = "changing a login that may replicate"
	ownerLogins       = "changing a login with the role owner"
)

func (a *api) addLogins(ops huma.API) {
	create := operation("create-login", http.MethodPost, "/v1/logins", "Make a login; a service login needs an admin's token",
		registry.Operator, http.StatusConflict, http.StatusNotFound)
	create.DefaultStatus = http.StatusCreated
	huma.Register(ops, create, a.createLogin)
	huma.Register(ops, operation("list-logins", http.MethodGet, "/v1/logins", "List logins",
		registry.Viewer, http.StatusNotFound), a.listLogins)
	huma.Register(ops, operation("get-login", http.MethodGet, "/v1/logins/{name}", "Show a login",
		registry.Viewer, http.StatusNotFound), a.getLogin)
	huma.Register(ops, operation("rotate-login", http.MethodPost, "/v1/logins/{name}/rotate", "Give a login a new password",
		registry.Operator, http.StatusNotFound), a.rotateLogin)
	huma.Register(ops, operation("delete-login", http.MethodDelete, "/v1/logins/{name}", "End a login's clients and forget it",
		registry.Operator, http.StatusNotFound), a.deleteLogin)
	for name, disabled := range map[string]bool{"disable": true, "enable": false} {
		summary := map[bool]string{true: "End a login's clients and refuse it", false: "Admit a login again"}[disabled]
		huma.Register(ops, operation(name+"-login", http.MethodPost, "/v1/logins/{name}/"+name, summary,
			registry.Operator, http.StatusNotFound),
			func(ctx context.Context, in *LoginPath) (*loginChangedOutput, error) {
				return a.changeLogin(ctx, name+"-login", in, func(l registry.Login, act registry.Act) error {
					_, err := a.Registry.SetLoginDisabled(ctx, l.ID, disabled, act)
					return err
				})
			})
	}
	a.addGrants(ops)
}

// LoginPath names a login: a tenant's, or a service's. It is exported for huma,
// like Page.
type LoginPath struct {
	Name   string `path:"name"`
	Tenant string `query:"tenant" doc:"Slug of the tenant that the login belongs to; without it, a service login is meant"`
}

type loginOutput struct{ Body client.Login }

type loginChangedOutput struct{ Body client.LoginChanged }

func (a *api) getLogin(ctx context.Context, in *LoginPath) (*loginOutput, error) {
	l, err := a.findLogin(ctx, in)
	if err != nil {
		return nil, err
	}
	body, err := a.loginBody(ctx, l)
	if err != nil {
		return nil, a.refuse("get-login", err)
	}
	return &loginOutput{Body: body}, nil
}

// findLogin returns the login, or the answer that there is none.
func (a *api) findLogin(ctx context.Context, in *LoginPath) (registry.Login, error) {
	var tenantID string
	whose := "service login "
	if in.Tenant != "" {
		t, err := a.find(ctx, in.Tenant)
		if err != nil {
			return registry.Login{}, err
		}
		tenantID, whose = t.ID, "tenant "+t.Slug+" has no login "
	} else {
		whose = "there is no " + whose
	}
	l, err := a.Registry.LoginByName(ctx, tenantID, in.Name)
	if errors.Is(err, registry.ErrNotFound) {
		return l, huma.NewError(http.StatusNotFound, whose+in.Name)
	}
	if err != nil {
		return l, a.refuse("find login", err)
	}
	return l, nil
}

type loginsInput struct {
	Page
	Tenant  string `query:"tenant" doc:"Slug: only this tenant's"`
	Service bool   `query:"service" doc:"Only service logins"`
	Text    string `query:"text" doc:"Only those with this in the name"`
}

type loginsOutput struct{ Body client.Logins }

func (a *api) listLogins(ctx context.Context, in *loginsInput) (*loginsOutput, error) {
	f := registry.LoginFilter{Service: in.Service, Text: in.Text, After: in.Cursor, Limit: in.Limit + 1}
	if in.Tenant != "" {
		t, err := a.find(ctx, in.Tenant)
		if err != nil {
			return nil, err
		}
		f.TenantID = t.ID
	}
	found, err := a.Registry.FindLogins(ctx, f)
	if err != nil {
		return nil, a.refuse("list-logins", err)
	}
	found, more := cut(found, in.Limit)
	bodies, err := a.loginBodies(ctx, found)
	if err != nil {
		return nil, a.refuse("list-logins", err)
	}
	out := &loginsOutput{Body: client.Logins{Logins: bodies}}
	if more {
		out.Body.Next = found[len(found)-1].ID
	}
	return out, nil
}

func (a *api) loginBody(ctx context.Context, l registry.Login) (client.Login, error) {
	bodies, err := a.loginBodies(ctx, []registry.Login{l})
	if err != nil {
		return client.Login{}, err
	}
	return bodies[0], nil
}

func (a *api) loginBodies(ctx context.Context, found []registry.Login) ([]client.Login, error) {
	ids := make([]string, 0, len(found))
	for _, l := range found {
		ids = append(ids, l.TenantID)
	}
	slugs, err := a.slugs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]client.Login, 0, len(found))
	for _, l := range found {
		b := client.Login{
			ID: l.ID, Name: l.Name, Tenant: slugs[l.TenantID], Service: l.Service, Role: string(l.Kind), Console: l.Console,
			PoolMode: l.PoolMode, MaxClients: l.MaxClients, Replication: l.Replication,
			CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, DisabledAt: l.DisabledAt,
		}
		if l.Service {
			if b.Grants, err = a.grantSlugs(ctx, l.ID); err != nil {
				return nil, err
			}
		}
		out = append(out, b)
	}
	return out, nil
}

// mayChange refuses operators what is an admin's.
func mayChange(ctx context.Context, l registry.Login) error {
	switch {
	case l.Service:
		return demand(ctx, registry.Admin, serviceLogins)
	case l.Replication:
		return demand(ctx, registry.Admin, replicationLogins)
	case l.Kind == registry.Owner:
		return demand(ctx, registry.Admin, ownerLogins)
	}
	return nil
}

// changeLogin does what may take clients away, and answers when it has.
func (a *api) changeLogin(ctx context.Context, what string, in *LoginPath, do func(registry.Login, registry.Act) error) (*loginChangedOutput, error) {
	l, err := a.findLogin(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := mayChange(ctx, l); err != nil {
		return nil, err
	}
	if err := do(l, registry.Act{Actor: actor(ctx)}); err != nil {
		return nil, a.refuse(what, err)
	}
	out := &loginChangedOutput{}
	if fresh, err := a.Registry.LoginByID(ctx, l.ID); err == nil { // else it is the one before its deletion
		l = fresh
	}
	if out.Body.Login, err = a.loginBody(ctx, l); err == nil {
		out.Body.Instances, err = a.acknowledged(ctx)
	}
	if err != nil {
		return nil, a.refuse(what, err)
	}
	return out, nil
}

func (a *api) deleteLogin(ctx context.Context, in *LoginPath) (*loginChangedOutput, error) {
	return a.changeLogin(ctx, "delete-login", in, func(l registry.Login, act registry.Act) error {
		return a.Registry.DeleteLogin(ctx, l.ID, act)
	})
}
