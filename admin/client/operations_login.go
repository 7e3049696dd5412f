package client

import (
	"context"
	"net/http"
	"net/url"
)

// CreateLogin makes a login and returns its password, this once.
func (c *Client) CreateLogin(ctx context.Context, l NewLogin) (made LoginWithPassword, err error) {
	return made, c.keyed(ctx, http.MethodPost, "/v1/logins", l.IdempotencyKey, l, &made)
}

// Logins lists the logins that f chooses.
func (c *Client) Logins(ctx context.Context, f LoginFilter) ([]Login, error) {
	query := values("tenant", f.Tenant, "text", f.Text)
	if f.Service {
		query.Set("service", "true")
	}
	return pages(query, 0, func(q url.Values) ([]Login, string, error) {
		var page Logins
		err := c.call(ctx, http.MethodGet, "/v1/logins?"+q.Encode(), nil, &page)
		return page.Logins, page.Next, err
	})
}

// Login returns one login: the tenant's of that name, or the service's if tenant
// is "".
func (c *Client) Login(ctx context.Context, name, tenant string) (l Login, err error) {
	return l, c.call(ctx, http.MethodGet, loginPath(name, tenant, ""), nil, &l)
}

// RotateLogin gives a login a new password and returns it, this once.
func (c *Client) RotateLogin(ctx context.Context, name, tenant string, r Rotation) (l LoginWithPassword, err error) {
	return l, c.call(ctx, http.MethodPost, loginPath(name, tenant, "/rotate"), r, &l)
}

// DisableLogin ends a login's clients and refuses it until EnableLogin.
func (c *Client) DisableLogin(ctx context.Context, name, tenant string) (l LoginChanged, err error) {
	return l, c.call(ctx, http.MethodPost, loginPath(name, tenant, "/disable"), nil, &l)
}

// EnableLogin undoes DisableLogin.
func (c *Client) EnableLogin(ctx context.Context, name, tenant string) (l LoginChanged, err error) {
	return l, c.call(ctx, http.MethodPost, loginPath(name, tenant, "/enable"), nil, &l)
}

// DeleteLogin ends a login's clients and forgets it.
func (c *Client) DeleteLogin(ctx context.Context, name, tenant string) (l LoginChanged, err error) {
	return l, c.call(ctx, http.MethodDelete, loginPath(name, tenant, ""), nil, &l)
}

// Grant lets a service login reach tenants.
func (c *Client) Grant(ctx context.Context, name string, t Tenancies) (l LoginChanged, err error) {
	return l, c.call(ctx, http.MethodPost, loginPath(name, "", "/grant"), t, &l)
}

// Revoke takes tenants back.
func (c *Client) Revoke(ctx context.Context, name string, t Tenancies) (l LoginChanged, err error) {
	return l, c.call(ctx, http.MethodPost, loginPath(name, "", "/revoke"), t, &l)
}

func loginPath(name, tenant, rest string) string {
	path := "/v1/logins/" + url.PathEscape(name) + rest
	if tenant != "" {
		path += "?tenant=" + url.QueryEscape(tenant)
	}
	return path
}
