package tenancy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nusajournal/dermaga/registry/slug"
)

// Config of Clients.
type Config struct {
	// URL reaches the broker: postgresql://login:password@dermaga:6432/?sslmode=require.
	// The slug takes the place of its database. pgxpool's own settings may stand in it
	// (pool_max_conns=8). Without sslmode pgx connects as with prefer: a refusal over
	// TLS, and the broker's wait before it, are followed by a second try in clear.
	URL string
	// MaxTenants is how many tenants have a pool at the same time, 50 unless it is
	// given. One more closes the pool that has not been used for the longest time, or
	// if all are in use, the one that was got first, when its last user lets go of it.
	MaxTenants int
	// TTL closes a pool that nobody has used for so long, after 30 minutes unless it is
	// given.
	TTL time.Duration
	// OpenTimeout bounds the first connection of a pool, 35 seconds unless it is given:
	// a broker holds it while the tenant is migrated, for up to 30 seconds
	// (--migration-wait-timeout), and says then that this is why. A context bounds the
	// wait of a single Get.
	OpenTimeout time.Duration
	// PoolConfig may change what a pool is opened with. It sees the slug's settings
	// after the defaults have been put in: at most 8 connections, none kept without
	// use for more than a minute. The broker pools too, so that more connections here
	// do not mean more at PostgreSQL. It is called before anybody knows whether there
	// is such a tenant, by several goroutines.
	PoolConfig func(slug string, c *pgxpool.Config)
}

// Errors of Get that concern its caller. What the broker has said is a
// *pgconn.PgError; ProblemOf tells what either means.
var (
	// ErrInvalidSlug is in the chain when a slug cannot be one: nobody is asked.
	ErrInvalidSlug = errors.New("not a slug")
	// ErrOpenTimeout is in the chain when the first connection took longer than
	// Config.OpenTimeout.
	ErrOpenTimeout = errors.New("not connected in time")
	// ErrClosed is what Get returns after Close.
	ErrClosed = errors.New("the clients are closed")
)

// Clients keeps a pool of connections to the broker for each tenant in use.
type Clients struct {
	cfg  Config
	base *pgxpool.Config

	mu     sync.Mutex
	pools  pools
	closed bool
	sweep  *time.Timer    // nil: no pool is open
	left   sync.WaitGroup // pools from take to their end
}

// Open checks cfg and connects to nobody.
func Open(cfg Config) (*Clients, error) {
	if cfg.URL == "" { // pgx would take PGHOST and its kin, or this machine
		return nil, errors.New("tenancy: the broker's URL is empty")
	}
	base, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, errors.New("tenancy: the broker's URL is not a connection URL") // err may quote its password
	}
	cfg.MaxTenants = cmp.Or(cfg.MaxTenants, 50)
	cfg.TTL = cmp.Or(cfg.TTL, 30*time.Minute)
	cfg.OpenTimeout = cmp.Or(cfg.OpenTimeout, 35*time.Second)
	if cfg.MaxTenants < 1 || cfg.TTL < 0 || cfg.OpenTimeout < 0 {
		return nil, errors.New("tenancy: MaxTenants, TTL and OpenTimeout must be positive")
	}
	if !strings.Contains(cfg.URL, "pool_max_conns") {
		base.MaxConns = 8
	}
	if !strings.Contains(cfg.URL, "pool_max_conn_idle_time") {
		base.MaxConnIdleTime = time.Minute
	}
	return &Clients{cfg: cfg, base: base, pools: newPools()}, nil
}

// Get returns the tenant of that slug, to be released. The first Get of a tenant
// opens its pool and one connection, which shows that there is such a tenant and
// that it may be used; what fails is not remembered. Others who ask for the tenant
// meanwhile wait for the same connection; nobody waits for another tenant's.
func (c *Clients) Get(ctx context.Context, name string) (*Tenant, error) {
	if err := slug.Check(name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidSlug, err)
	}
	p, err := c.take(name)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.opened:
	case <-ctx.Done():
		c.release(p)
		return nil, fmt.Errorf("wait for tenant %s: %w", name, ctx.Err()) // as of a query: ProblemOf knows no causes
	}
	if p.err != nil {
		c.release(p)
		return nil, fmt.Errorf("connect to tenant %s: %w", name, p.err)
	}
	return &Tenant{pool: p, clients: c}, nil
}

// take returns the slug's pool, used by one more. If there is none it is opened.
func (c *Clients) take(name string) (*pool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	p := c.pools.get(name)
	if p == nil {
		p = c.pools.add(name)
		c.left.Add(1)
		go c.open(p)
	}
	p.users++
	return p, nil
}

// release is one user of p less.
func (c *Clients) release(p *pool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.users--
	p.used = time.Now()
	c.closeUnused(p)
}

// drop takes p out of the open pools; it is closed when nobody uses it. c.mu is
// locked.
func (c *Clients) drop(p *pool) {
	c.pools.remove(p)
	c.closeUnused(p)
}

// closeUnused closes p if it was dropped and has no users left. c.mu is locked.
func (c *Clients) closeUnused(p *pool) {
	if !p.dropped || p.users > 0 || p.conns == nil {
		return
	}
	conns, db := p.conns, p.db
	p.conns, p.db = nil, nil
	go func() {
		defer c.left.Done()
		if db != nil {
			_ = db.Close() // it has nothing of its own that could fail
		}
		conns.Close()
	}()
}

// expire drops the pools that nobody has used for the TTL.
func (c *Clients) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.cfg.TTL
	for _, p := range c.pools.openOnes() {
		if p.users > 0 {
			continue
		}
		left := c.cfg.TTL - time.Since(p.used)
		if left <= 0 {
			c.drop(p)
			continue
		}
		next = min(next, left)
	}
	c.sweep = nil
	if c.pools.order.Len() > 0 && !c.closed {
		c.sweep = time.AfterFunc(next, c.expire)
	}
}

// Disconnect closes the tenant's pool, when those who use it have released it. The
// next Get opens another. It reports whether there was one.
func (c *Clients) Disconnect(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools.bySlug[name]
	if p == nil {
		return false
	}
	c.drop(p)
	return true
}

// DisconnectAll is Disconnect for every tenant.
func (c *Clients) DisconnectAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pools.bySlug {
		c.drop(p)
	}
}

// Stats is which tenants have a pool.
type Stats struct {
	ActiveConnections int      `json:"activeConnections"` // tenants with a pool
	MaxConnections    int      `json:"maxConnections"`    // Config.MaxTenants
	Tenants           []string `json:"tenants"`           // in alphabetical order
}

// Stats returns which tenants have a pool now.
func (c *Clients) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	slugs := c.pools.slugs()
	return Stats{ActiveConnections: len(slugs), MaxConnections: c.cfg.MaxTenants, Tenants: slugs}
}

// Close closes all pools and returns when that is done: when whoever uses a tenant
// has released it and given back its connections, or with ctx's error. Get fails
// from now on. Safe to call again.
func (c *Clients) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	if c.sweep != nil {
		c.sweep.Stop()
		c.sweep = nil
	}
	for _, p := range c.pools.bySlug {
		c.drop(p)
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.left.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the clients: some are still in use: %w", context.Cause(ctx))
	}
}
