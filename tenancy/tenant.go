package tenancy

import (
	"context"
	"database/sql"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// A Tenant is a company's database, for whoever has got it, until Release. Its pool
// is not closed before, whatever becomes of its place among the open ones. Safe for
// concurrent use.
type Tenant struct {
	pool    *pool
	clients *Clients
	release sync.Once
}

// Slug is the tenant's name.
func (t *Tenant) Slug() string { return t.pool.slug }

// Pool is the tenant's connections. Not to be closed, nor used after Release.
func (t *Tenant) Pool() *pgxpool.Pool { return t.pool.conns }

// DB is the same connections for database/sql. Not to be closed, nor used after
// Release.
func (t *Tenant) DB() *sql.DB {
	t.clients.mu.Lock()
	defer t.clients.mu.Unlock()
	if t.pool.db == nil {
		t.pool.db = stdlib.OpenDBFromPool(t.pool.conns)
	}
	return t.pool.db
}

// Release lets go of the tenant. Safe to call again.
func (t *Tenant) Release() { t.release.Do(func() { t.clients.release(t.pool) }) }

type contextKey struct{}

// NewContext returns a context that has t.
func NewContext(ctx context.Context, t *Tenant) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext returns the request's tenant, nil where there is none: at a path that
// the middleware skips, or without it. It is valid until the handler returns.
func FromContext(ctx context.Context) *Tenant {
	t, _ := ctx.Value(contextKey{}).(*Tenant)
	return t
}
