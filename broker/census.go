package broker

import (
	"sync"
	"time"

	"github.com/nusajournal/dermaga/registry"
)

// A census counts clients, from their admission to their end, by tenant, by
// login, and by both. Safe for concurrent use.
type census struct {
	mu      sync.Mutex
	tenants map[string]int // by tenant id
	logins  map[string]int // by login id
	pairs   map[pair]*guests
}

// A pair is what a client's right to be here depends on, by id.
type pair struct{ tenant, login string }

// tag names a pair's clients to the relay.
func (p pair) tag() string { return p.login + "@" + p.tenant }

// guests are the clients of one login at one tenant.
type guests struct {
	slug, login string // names, as the registry is asked for them
	n           int
	until       time.Time    // when the login expires; zero: never
	barred      *clientError // why they have to go; nil: they have not
}

func newCensus() *census {
	return &census{tenants: map[string]int{}, logins: map[string]int{}, pairs: map[pair]*guests{}}
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
	key := pair{route.TenantID, login.ID}
	c.tenants[key.tenant]++
	c.logins[key.login]++
	g := c.pairs[key]
	if g == nil {
		g = &guests{slug: route.Slug, login: login.Name}
		c.pairs[key] = g
	}
	g.n++
	g.expire(login)
	return sync.OnceFunc(func() { c.leave(key) }), nil
}

func (c *census) leave(key pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	uncount(c.tenants, key.tenant)
	uncount(c.logins, key.login)
	if g := c.pairs[key]; g.n == 1 {
		delete(c.pairs, key)
	} else {
		g.n--
	}
}

func uncount(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

func (g *guests) expire(l *registry.Login) {
	g.until = time.Time{}
	if l.ExpiresAt != nil {
		g.until = *l.ExpiresAt
	}
}

// clients is how many there are of a tenant.
func (c *census) clients(tenant string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tenants[tenant]
}

// tenantIDs are those that have clients.
func (c *census) tenantIDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]string, 0, len(c.tenants))
	for id := range c.tenants {
		ids = append(ids, id)
	}
	return ids
}

// slug is the name of a tenant that has clients, for when nobody else knows it
// any more.
func (c *census) slug(tenant string) string {
	for _, g := range c.who(func(p pair, _ *guests) bool { return p.tenant == tenant }) {
		return g.slug
	}
	return ""
}

// who returns the pairs that choose accepts, with their names.
func (c *census) who(choose func(pair, *guests) bool) map[pair]guests {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[pair]guests{}
	for key, g := range c.pairs {
		if choose(key, g) {
			out[key] = *g
		}
	}
	return out
}

// bar notes why the pair's clients have to go, nil for not, and reports whether
// that is new.
func (c *census) bar(key pair, why *clientError, login *registry.Login) (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.pairs[key]
	if g == nil {
		return false
	}
	if login != nil {
		g.expire(login)
	}
	news = why != nil && g.barred == nil
	g.barred = why
	return news
}

// barred is why the pair's clients have to go, or nil.
func (c *census) barred(key pair) *clientError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.pairs[key]; g != nil {
		return g.barred
	}
	return nil
}
