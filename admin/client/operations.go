package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// pageSize is how many rows are asked for at a time.
const pageSize = 500

// CreateTenant provisions a tenant and returns when it can be used.
func (c *Client) CreateTenant(ctx context.Context, t NewTenant) (made Created, err error) {
	return made, c.keyed(ctx, http.MethodPost, "/v1/tenants", t.IdempotencyKey, t, &made)
}

// RetryTenant provisions a tenant whose provisioning failed.
func (c *Client) RetryTenant(ctx context.Context, slug string) (made Created, err error) {
	return made, c.call(ctx, http.MethodPost, tenantPath(slug, "/retry"), nil, &made)
}

// Tenants lists the tenants that f chooses.
func (c *Client) Tenants(ctx context.Context, f TenantFilter) ([]Tenant, error) {
	query := values("status", f.Status, "plan", f.Plan, "server", f.Server, "text", f.Text)
	return pages(query, 0, func(q url.Values) ([]Tenant, string, error) {
		var page Tenants
		err := c.call(ctx, http.MethodGet, "/v1/tenants?"+q.Encode(), nil, &page)
		return page.Tenants, page.Next, err
	})
}

// Tenant returns one tenant.
func (c *Client) Tenant(ctx context.Context, slug string) (t Tenant, err error) {
	return t, c.call(ctx, http.MethodGet, tenantPath(slug, ""), nil, &t)
}

// SetTenant changes a tenant's plan and limits.
func (c *Client) SetTenant(ctx context.Context, slug string, change TenantChange) (t Tenant, err error) {
	return t, c.call(ctx, http.MethodPatch, tenantPath(slug, ""), change, &t)
}

// SuspendTenant ends a tenant's clients and lets none in.
func (c *Client) SuspendTenant(ctx context.Context, slug string, why Reason) (m Moved, err error) {
	return m, c.call(ctx, http.MethodPost, tenantPath(slug, "/suspend"), why, &m)
}

// ResumeTenant lets a suspended tenant's clients in again.
func (c *Client) ResumeTenant(ctx context.Context, slug string, why Reason) (m Moved, err error) {
	return m, c.call(ctx, http.MethodPost, tenantPath(slug, "/resume"), why, &m)
}

// DeleteTenant makes a tenant unknown to clients; its data stays for the grace
// period.
func (c *Client) DeleteTenant(ctx context.Context, slug string, d Deletion) (m Moved, err error) {
	query := values("reason", d.Reason)
	if d.GraceSeconds > 0 {
		query.Set("graceSeconds", strconv.FormatInt(d.GraceSeconds, 10))
	}
	return m, c.call(ctx, http.MethodDelete, tenantPath(slug, "?"+query.Encode()), nil, &m)
}

// RestoreTenant makes a deleted tenant a suspended one.
func (c *Client) RestoreTenant(ctx context.Context, slug string, why Reason) (m Moved, err error) {
	return m, c.call(ctx, http.MethodPost, tenantPath(slug, "/restore"), why, &m)
}

// ResetPassword gives the login that was made with the tenant a new password.
func (c *Client) ResetPassword(ctx context.Context, slug string, r Rotation) (l LoginWithPassword, err error) {
	return l, c.call(ctx, http.MethodPost, tenantPath(slug, "/password"), r, &l)
}

// Disconnect ends the clients of a tenant, or of all if slug is "". They may
// connect again.
func (c *Client) Disconnect(ctx context.Context, slug string, d Disconnection) (done Disconnected, err error) {
	path := "/v1/disconnect"
	if slug != "" {
		path = tenantPath(slug, "/disconnect")
	}
	return done, c.call(ctx, http.MethodPost, path, d, &done)
}

// Activities returns the newest activities, newest first: a tenant's, or all if
// slug is "".
func (c *Client) Activities(ctx context.Context, slug string, limit int) ([]Activity, error) {
	return pages(values("tenant", slug), limit, func(q url.Values) ([]Activity, string, error) {
		var page Activities
		err := c.call(ctx, http.MethodGet, "/v1/activities?"+q.Encode(), nil, &page)
		return page.Activities, page.Next, err
	})
}

// Servers lists the servers.
func (c *Client) Servers(ctx context.Context) ([]Server, error) {
	var list Servers
	err := c.call(ctx, http.MethodGet, "/v1/servers", nil, &list)
	return list.Servers, err
}

// Server returns one server.
func (c *Client) Server(ctx context.Context, name string) (s Server, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/servers/"+url.PathEscape(name), nil, &s)
}

// Stats returns what the brokers do now.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/stats", nil, &s)
}

// tenantPath is a tenant's path, and what follows it.
func tenantPath(slug, rest string) string { return "/v1/tenants/" + url.PathEscape(slug) + rest }

// values makes a query of names and values, leaving out what is empty.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// pages reads one page after another, up to limit rows (0: all).
func pages[T any](query url.Values, limit int, read func(url.Values) (rows []T, next string, err error)) ([]T, error) {
	var all []T
	for {
		want := pageSize
		if limit > 0 {
			want = min(want, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(want))
		rows, next, err := read(query)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if next == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
		query.Set("cursor", next)
	}
}

// Seconds is d as requests have it: what is more than nothing is at least one.
func Seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Ready asks whether new clients can be sent to the broker; that they cannot is an
// error.
func (c *Client) Ready(ctx context.Context) (r Ready, err error) {
	return r, c.call(ctx, http.MethodGet, "/ready", nil, &r)
}
