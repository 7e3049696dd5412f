package broker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/nusajournal/dermaga/broker/console"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry"
)

// A lookout is the broker as the console sees it: what the relay and the registry
// know, in the console's terms.
type lookout struct{ *Broker }

// visited are the routes that clients have taken, the newest of each slug: who is
// deleted for good leaves it to another tenant. Safe for concurrent use.
type visited struct {
	mu     sync.Mutex
	routes map[string]*registry.Route // by slug
	logins map[poolKey]uint64         // of clients, since New
}

func (v *visited) note(r *registry.Route) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.routes == nil {
		v.routes, v.logins = map[string]*registry.Route{}, map[poolKey]uint64{}
	}
	v.logins[poolKey{r.Slug, r.Role}]++
	if before := v.routes[r.Slug]; before == nil || before.TenantID != r.TenantID || before.Version <= r.Version {
		v.routes[r.Slug] = r
	}
}

// all are sorted by slug.
func (v *visited) all() []*registry.Route {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.SortedFunc(maps.Values(v.routes), func(a, b *registry.Route) int { return cmp.Compare(a.Slug, b.Slug) })
}

// of is the route to a slug, nil if nobody has taken one.
func (v *visited) of(slug string) *registry.Route {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.routes[slug]
}

func (v *visited) loginsOf(key poolKey) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.logins[key]
}

// tenantID is the id of a slug's tenant; "" of "", which stands for all.
func (b *Broker) tenantID(ctx context.Context, slug string) (string, error) {
	if slug == "" {
		return "", nil
	}
	if r := b.visited.of(slug); r != nil {
		return r.TenantID, nil
	}
	// Nobody has been there yet. Whose login asks does not matter for the tenant.
	entry, err := b.reg.Lookup(ctx, slug, console.Names()[0])
	switch {
	case err != nil:
		return "", err
	case entry.Tenant == nil || entry.Tenant.Status == registry.Deleted:
		return "", console.ErrNoDatabase
	}
	return entry.Tenant.ID, nil
}

// poolKey is what PgBouncer has one pool for. The broker may have several, of
// different generations of a credential, or for replication.
type poolKey struct{ database, user string }

func (o lookout) Pools(ctx context.Context) ([]console.Pool, error) {
	stats, err := o.relay.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	servers, err := o.relay.Servers(ctx)
	if err != nil {
		return nil, err
	}
	pools := map[poolKey]*console.Pool{}
	for _, s := range stats {
		key := poolKey{s.Slug, s.Role}
		p := pools[key]
		if p == nil {
			p = &console.Pool{Database: s.Slug, User: s.Role, Mode: o.orDefault("")}
			if r := o.visited.of(s.Slug); r != nil {
				p.Mode = o.orDefault(r.PoolMode)
			}
			pools[key] = p
		}
		p.ClientsActive += s.Clients - s.Waiting
		p.ClientsWaiting += s.Waiting
		p.ServersLogin += s.Dialing
		p.MaxWait = max(p.MaxWait, s.WaitingLongest)
		sum(&p.Traffic, s)
	}
	for _, s := range servers {
		p := pools[poolKey{s.Slug, s.Role}]
		if p == nil { // opened since
			continue
		}
		switch s.State {
		case relay.StateIdle:
			p.ServersIdle++
		case relay.StateTested:
			p.ServersTested++
		case relay.StateCancelled:
			p.ServersCancelled++
		default:
			p.ServersActive++
		}
	}
	var out []console.Pool
	for key, p := range pools {
		p.Traffic.Logins = o.visited.loginsOf(key)
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b console.Pool) int {
		return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.User, b.User))
	})
	return out, nil
}

// orDefault is the pool mode that holds where mode is what a tenant or login says.
func (b *Broker) orDefault(mode string) string { return cmp.Or(mode, b.cfg.PoolMode) }

// sum adds a pool's counters. The relay does not time queries apart from their
// transactions, nor count what clients prepare and bind: those stay 0.
func sum(t *console.Traffic, s relay.PoolStats) {
	t.Assignments += s.Transaction.Count()
	t.Transactions += s.Transaction.Count()
	t.Queries += s.Queries
	t.Received += s.BytesIn
	t.Sent += s.BytesOut
	t.TransactionTime += s.Transaction.Sum
	t.WaitTime += s.Wait.Sum
	t.ServerParses += s.Reparses
}

func (o lookout) Clients(ctx context.Context) ([]console.Client, error) {
	clients, err := o.relay.Clients(ctx)
	var out []console.Client
	for _, c := range clients {
		out = append(out, console.Client{
			ID: c.ID, User: c.Login, Database: c.Slug, Replication: replicationKind(c.Replication), State: c.State,
			Remote: c.Remote, Local: c.Local, Since: c.Since, Request: c.Request, Wait: c.Wait, Server: c.Server,
			TLS: c.TLS, Application: c.Application, Statements: c.Statements, Pins: c.Pins, Pinned: c.Pinned, Quiet: c.Quiet,
		})
	}
	return out, err
}

func (o lookout) Servers(ctx context.Context) ([]console.Server, error) {
	servers, err := o.relay.Servers(ctx)
	var out []console.Server
	for _, s := range servers {
		x := console.Server{
			ID: s.ID, User: s.Role, Database: s.Slug, State: s.State, Remote: s.Remote, Local: s.Local,
			Since: s.Since, Request: s.Request, Client: s.Client, PID: int(s.PID), Application: s.Application, Statements: s.Statements,
		}
		if s.State == relay.StateKept { // SHOW PINS tells the difference
			x.State = relay.StateActive
		}
		if s.Encrypted {
			x.TLS = "TLS"
		}
		out = append(out, x)
	}
	return out, err
}

func replicationKind(replicates bool) string {
	if replicates {
		return "logical"
	}
	return ""
}

// Databases are the tenants that have had a client here.
func (o lookout) Databases(ctx context.Context) ([]console.Database, error) {
	stats, err := o.relay.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	clients, servers := map[string]int{}, map[string]int{}
	for _, s := range stats {
		clients[s.Tenant] += s.Clients
		servers[s.Tenant] += s.Servers
	}
	var out []console.Database
	for _, r := range o.visited.all() {
		barrier, barred := o.watch.barrier(r.TenantID)
		out = append(out, console.Database{
			Name: r.Slug, Host: r.Server.Host, Port: r.Server.Port, Database: r.Database,
			PoolSize: r.PoolSize, MinPoolSize: r.MinPoolSize, ServerLifetime: o.cfg.ServerLifetime, Mode: o.orDefault(r.PoolMode),
			Servers: servers[r.TenantID], MaxClients: r.MaxClients, Clients: clients[r.TenantID],
			Paused: o.pauses.holds(r.TenantID), Disabled: barred && barrier.Status != registry.Migrating,
		})
	}
	return out, nil
}

// Users are the logins that have clients, by name; a name may be several tenants'.
func (o lookout) Users(context.Context) ([]console.User, error) {
	clients := map[string]int{}
	for _, g := range o.census.who(func(pair, *guests) bool { return true }) {
		clients[g.login] += g.n
	}
	var out []console.User
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		out = append(out, console.User{Name: name, Clients: clients[name]})
	}
	return out, nil
}

func (o lookout) Paused() bool { return o.pauses.everything() }

func (o lookout) LoginClients() int { return int(o.counters.halfOpen.Load()) }

func (o lookout) Pause(ctx context.Context, database string) error { return o.pause(ctx, database) }

func (o lookout) Resume(ctx context.Context, database string) error {
	if database == "" {
		return o.letGo(ctx, o.pauses.each()...)
	}
	id, err := o.tenantID(ctx, database)
	if err != nil {
		return err
	}
	return o.letGo(ctx, id)
}

func (o lookout) Kill(ctx context.Context, database string) error { return o.kill(ctx, database) }

func (o lookout) KillClient(ctx context.Context, id uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, statsWait)
	defer cancel()
	return o.relay.EndClient(ctx, id, errForced.Fields())
}

func (o lookout) Reconnect(ctx context.Context, database string) error {
	return o.reconnect(ctx, database)
}

// Reload reads the certificates again, and forgets which servers refused a login.
func (o lookout) Reload(ctx context.Context) error {
	o.upstreams.forgive()
	if o.cfg.Reload == nil {
		return nil
	}
	return o.cfg.Reload(ctx)
}

// Settings are the broker's, by PgBouncer's names where it has one that means the
// same.
func (o lookout) Settings() []console.Setting {
	have, usual := settingsOf(o.cfg), settingsOf(Config{}.Defaults())
	for i := range have {
		have[i].Default = usual[i].Value
	}
	return have
}
