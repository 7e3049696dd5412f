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
	if id.replication && !id.login.Replication {
		return passage{}, errMayNotReplicate(id.user)
	}
	for {
		route, err := b.route(ctx, id)
		if err != nil {
			return passage{}, err
		}
		leave, err := b.census.admit(route, id.login)
		if err != nil {
			return passage{}, err
		}
		// What changes from here on, the watcher sees to, for it knows of this
		// client now. What changed before is looked for once more.
		entry, err := b.lookup(ctx, id.database, id.user)
		if err != nil || !entry.Granted || entry.Route == nil || entry.Route.Version != route.Version {
			leave()
			if err != nil {
				return passage{}, err
			}
			continue
		}
		p := passage{identity: id, route: route, leave: leave, mode: modes[b.cfg.PoolMode]}
		for _, mode := range []string{route.PoolMode, id.mode} {
			if m, ok := modes[mode]; ok {
				p.mode = m
			}
		}
		if p.replication {
			p.mode = relay.Session
		}
		return p, nil
	}
}

// guest is the pair that p's client belongs to.
func (p passage) guest() pair { return pair{p.route.TenantID, p.login.ID} }

// modes are the pool modes by name.
var modes = map[string]relay.Mode{
	"auto":        relay.Auto,
	"session":     relay.Session,
	"statement":   relay.Statement,
	"transaction": relay.Transaction,
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
		status, reason := route.Status, route.StatusReason
		if g, ok := b.watch.barrier(route.TenantID); ok && status == registry.Active {
			// The watcher knows better than an old answer of the cache; or this is
			// news that it is about to act on, within a second.
			status, reason = g.Status, g.Reason
			if g.Version < route.Version {
				limit, late = watchPatience, errMigrating(route.Slug)
			}
		}
		switch status {
		case registry.Active:
			if route.CredentialErr != nil {
				b.log.Error(eventCredential, keyConn, id.line.id, keyTenant, route.Slug, keyRole, string(route.Kind), keyError, route.CredentialErr)
				return nil, errServer(route.Slug, route.CredentialErr)
			}
			return route, nil
		case registry.Suspended:
			if limit == 0 {
				return nil, errSuspended(route.Slug, reason)
			}
		case registry.Deleted:
			if limit == 0 {
				return nil, errNoTenant(id.database)
			}
		case registry.Provisioning:
			limit, late = b.cfg.ProvisionWait, errProvisioning(route.Slug)
		case registry.Migrating:
			limit, late = b.cfg.MigrationWait, errMigrating(route.Slug)
		default:
			return nil, fmt.Errorf("tenant %s has an unknown status %q", route.Slug, status)
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

// watchPatience bounds the wait for the watcher to act on what the cache already
// says: it looks once a second at the latest.
const watchPatience = 5 * time.Second

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
