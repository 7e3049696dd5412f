package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry"
)

// A passage is an identity that may go on: its route, and its place among the
// clients that its tenant and login may have. The place is given back by leave.
type passage struct {
	identity
	route *registry.Route
	mode  relay.Mode
	leave func() // safe to call more than once
}

// resolve finds where id goes. A tenant that is being made or migrated is
// waited for, within limits; what a tenant's status forbids is said openly,
// since id has proven who it is.
func (b *Broker) resolve(ctx context.Context, id identity) (passage, error) {
	route, err := b.route(ctx, id)
	if err != nil {
		return passage{}, err
	}
	leave, err := b.census.admit(route, id.login)
	if err != nil {
		return passage{}, err
	}
	p := passage{identity: id, route: route, leave: leave, mode: modes[b.cfg.PoolMode]}
	for _, mode := range []string{route.PoolMode, id.mode} {
		if m, ok := modes[mode]; ok {
			p.mode = m
		}
	}
	return p, nil
}

// modes are the pool modes by name. Until auto has its own way of telling what
// a statement leaves behind, it is transaction pooling.
var modes = map[string]relay.Mode{
	"session":     relay.Session,
	"transaction": relay.Transaction,
	"auto":        relay.Transaction,
}

// route returns id's route when its tenant serves clients. While the tenant is
// being made or migrated it waits for the registry to announce a change.
func (b *Broker) route(ctx context.Context, id identity) (*registry.Route, error) {
	began := time.Now()
	for {
		changed := b.changes.next() // before the look-up, so that none is missed
		entry, err := b.lookup(ctx, id.database, id.user)
		if err != nil {
			return nil, err
		}
		if entry.Login == nil || entry.Login.ID != id.login.ID {
			return nil, errPassword(id.user) // taken away since it was proven
		}
		route := entry.Route
		if route == nil {
			return nil, errNoTenant(id.database)
		}
		var limit time.Duration
		var late *clientError
		switch route.Status {
		case registry.Active:
			if route.CredentialErr != nil {
				b.log.Error("credential_unusable", "tenant", route.Slug, "role", string(route.Kind), "error", route.CredentialErr)
				return nil, errServer(route.Slug, route.CredentialErr)
			}
			return route, nil
		case registry.Suspended:
			return nil, errSuspended(route.Slug, route.StatusReason)
		case registry.Provisioning:
			limit, late = b.cfg.ProvisionWait, errProvisioning(route.Slug)
		case registry.Migrating:
			limit, late = b.cfg.MigrationWait, errMigrating(route.Slug)
		default:
			return nil, fmt.Errorf("tenant %s has an unknown status %q", route.Slug, route.Status)
		}
		left := time.NewTimer(limit - time.Since(began))
		select {
		case <-changed:
			left.Stop()
		case <-left.C:
			return nil, late
		case <-ctx.Done():
			left.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// changes wakes everybody who waits for the registry to change. Safe for
// concurrent use.
type changes struct {
	mu sync.Mutex
	ch chan struct{}
}

// next is closed at the next change. Ask for it before looking at what may have
// changed.
func (c *changes) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ch == nil {
		c.ch = make(chan struct{})
	}
	return c.ch
}

func (c *changes) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ch != nil {
		close(c.ch)
		c.ch = nil
	}
}

// A census counts clients, from their admission to their end. Safe for
// concurrent use.
type census struct {
	mu      sync.Mutex
	tenants map[string]int // by tenant id
	logins  map[string]int // by login id
}

func newCensus() *census {
	return &census{tenants: map[string]int{}, logins: map[string]int{}}
}

// admit counts a client in, unless its tenant or login has all it may have.
func (c *census) admit(route *registry.Route, login *registry.Login) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := route.MaxClients; limit > 0 && c.tenants[route.TenantID] >= limit {
		return nil, errTenantClients(route.Slug, route.Plan, limit)
	}
	if limit := login.MaxClients; limit > 0 && c.logins[login.ID] >= limit {
		return nil, errLoginClients(login.Name, limit)
	}
	c.tenants[route.TenantID]++
	c.logins[login.ID]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		uncount(c.tenants, route.TenantID)
		uncount(c.logins, login.ID)
	}), nil
}

func uncount(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}
