package tenancy

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// open connects p and gives it a place, for which another may have to go: only now,
// so that requests for tenants that nobody has cannot push out those that are in
// use. On failure the next Get tries again.
func (c *Clients) open(p *pool) {
	conns, err := c.connect(p.slug)
	c.mu.Lock()
	defer c.mu.Unlock()
	p.conns, p.err = conns, err
	close(p.opened)
	if err != nil {
		c.pools.remove(p)
		c.left.Done()
		return
	}
	if p.dropped { // by Disconnect or Close
		c.closeUnused(p)
		return
	}
	c.pools.place(p)
	if c.pools.order.Len() > c.cfg.MaxTenants {
		c.drop(c.pools.first())
	}
	if c.sweep == nil {
		c.sweep = time.AfterFunc(c.cfg.TTL, c.expire)
	}
}

// connect opens the slug's pool with one connection, by which the broker says
// whether there is such a tenant, and its server whether it is there.
func (c *Clients) connect(slug string) (*pgxpool.Pool, error) {
	cfg, err := c.settings(slug)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.OpenTimeout)
	defer cancel()
	conns, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := conns.Ping(ctx); err != nil {
		conns.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w (%s): %w", ErrOpenTimeout, c.cfg.OpenTimeout, err)
		}
		return nil, err
	}
	return conns, nil
}

// settings are what the slug's pool is opened with. A panic of PoolConfig becomes
// an error: whoever sends a request chooses the slug, and here no server would
// recover it.
func (c *Clients) settings(slug string) (cfg *pgxpool.Config, err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("PoolConfig panicked: %v\n%s", why, debug.Stack())
		}
	}()
	cfg = c.base.Copy()
	cfg.ConnConfig.Database = slug
	if c.cfg.PoolConfig != nil {
		c.cfg.PoolConfig(slug, cfg)
		cfg.ConnConfig.Database = slug
	}
	return cfg, nil
}
