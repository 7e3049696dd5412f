package registry

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where the registry is and how long to remember its answers.
type Config struct {
	URL  Secret // REGISTRY_DATABASE_URL; ?schema=… as Prisma writes it is dropped
	Keys *Keys
	Log  *slog.Logger // nil: slog.Default()

	CacheSize   int           // entries, of known and of unknown names each; 0: 10,000
	CacheTTL    time.Duration // how long an answer is used without asking again; 0: 5m
	NegativeTTL time.Duration // the same for unknown names; 0: 5s
	StaleMax    time.Duration // how long known tenants work without the registry; 0: 1h
}

// A Registry is an open connection to the registry database. Safe for
// concurrent use.
type Registry struct{ pool *pgxpool.Pool }

// Open connects, checks the schema's version and the encryption key, and
// listens for changes until Close. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*Registry, error) { panic("soon") }

// Close ends all connections and waits for them. Safe to call twice.
func (r *Registry) Close() { panic("soon") }

// Pool returns the connections, for readers outside this package. Their
// search_path is pg_catalog: name the schema, dermaga.tenants.
func (r *Registry) Pool() *pgxpool.Pool { return r.pool }
