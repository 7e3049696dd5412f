package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// schemaVersion is the oldest schema this release works with: the newest file in
// migrations/registry, held by a test. Newer ones only add.
const schemaVersion = 11

// Config says where the registry is and how long to remember its answers.
type Config struct {
	URL  Secret // REGISTRY_DATABASE_URL; ?schema=… and what else only Prisma knows is dropped
	Keys *Keys
	Log  *slog.Logger // nil: slog.Default()

	// PeerAddress is where other instances reach this one; SetPeerAddress tells
	// it later. If it is set, a row in dermaga.instances says that this instance
	// lives.
	PeerAddress string
	// Broker says that this process relays: it has a row whether or not it has a
	// peer address, others wait for what it acknowledges, and it gets a share of
	// each server's connections. Only for an owner that calls Acknowledge.
	Broker bool

	CacheSize   int           // entries, of known and of unknown names each; 0: 10,000
	CacheTTL    time.Duration // how long an answer is used without asking again; 0: 5m
	NegativeTTL time.Duration // the same for unknown names; 0: 5s
	StaleMax    time.Duration // how long known tenants work without the registry; 0: 1h
}

func (c Config) withDefaults() Config {
	orElse := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	orElse(&c.CacheTTL, 5*time.Minute)
	orElse(&c.NegativeTTL, 5*time.Second)
	orElse(&c.StaleMax, time.Hour)
	if c.CacheSize == 0 {
		c.CacheSize = 10_000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	refuse := func(broken bool, format string, args ...any) {
		if broken {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	refuse(c.URL == "", "registry URL is empty: set REGISTRY_DATABASE_URL")
	refuse(c.Keys == nil, "no encryption key: set ENCRYPTION_KEY")
	refuse(c.CacheSize < 0, "registry cache size %d: it must be positive", c.CacheSize)
	refuse(c.CacheTTL < 0, "registry cache time %v: it must be positive", c.CacheTTL)
	refuse(c.NegativeTTL < 0, "registry cache time for unknown names %v: it must be positive", c.NegativeTTL)
	refuse(c.StaleMax < 0, "registry stale time %v: it must be positive", c.StaleMax)
	return errors.Join(errs...)
}

// A Registry is an open registry database. Safe for concurrent use.
type Registry struct {
	cfg   Config
	pool  *pgxpool.Pool
	keys  *Keys
	log   *slog.Logger
	cache *cache

	presence   presence     // of this process among the others
	shares     shares       // of the servers' connections
	acked      atomic.Int64 // newest change acknowledged
	doubtful   atomic.Int64 // the change up to which everything may have changed
	bell       bell         // wakes the listener
	life       context.Context
	end        context.CancelFunc // of life
	background sync.WaitGroup     // the listener, and what it starts
	closing    sync.Once

	observers struct {
		sync.Mutex
		all []func(Change)
	}
}

// Open connects, checks the schema's version and the encryption key, and
// listens for changes until Close. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	pc, err := poolConfig(cfg.URL)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{cfg: cfg, pool: pool, keys: cfg.Keys, log: cfg.Log}
	if err := r.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	r.cache = newCache(cfg, r.ask)
	r.presence.broker, r.presence.address = cfg.Broker, cfg.PeerAddress
	r.life, r.end = context.WithCancel(context.WithoutCancel(ctx))
	opened := make(chan error, 1)
	r.background.Go(func() { r.listen(r.life, opened) })
	select {
	case err = <-opened: // if nil, nothing that happens from here on is missed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		r.Close()
		return nil, explain("listen for registry changes", err)
	}
	return r, nil
}

func (r *Registry) check(ctx context.Context) error {
	if err := r.checkSchema(ctx); err != nil {
		return err
	}
	return r.checkKeys(ctx)
}

// Close ends all connections and waits for them. Look-ups under way end with
// ErrUnavailable. Safe to call twice.
func (r *Registry) Close() {
	r.closing.Do(func() {
		r.end()
		r.background.Wait()
		r.cache.close()
		r.presence.leave(context.Background(), r.pool)
		r.pool.Close()
	})
}

// Pool returns the connections, for readers outside this package. Their
// search_path is pg_catalog: name the schema, dermaga.tenants.
func (r *Registry) Pool() *pgxpool.Pool { return r.pool }

// Keys returns the keys that Open was given.
func (r *Registry) Keys() *Keys { return r.keys }

// checkSchema refuses a registry that has not been migrated.
func (r *Registry) checkSchema(ctx context.Context) error {
	const version = `SELECT coalesce(max(version), 0) FROM dermaga.schema_migrations`
	var have int64
	err := r.pool.QueryRow(ctx, version).Scan(&have)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == pgerrcode.UndefinedTable {
		err = nil // have is 0
	}
	if err != nil {
		return explain("open registry", err)
	}
	if have < schemaVersion {
		return fmt.Errorf("%w (it has version %d, this release needs %d)", ErrSchemaOld, have, schemaVersion)
	}
	return nil
}

// checkKeys compares our key with the check values of those that sealed what the
// registry holds. The first key ever used is registered.
func (r *Registry) checkKeys(ctx context.Context) error {
	ids, err := r.keyIDs(ctx)
	if err == nil && len(ids) == 0 {
		if err = r.registerKey(ctx); err == nil {
			ids, err = r.keyIDs(ctx)
		}
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := r.keys.byID(id); !ok {
			return fmt.Errorf("%w: it wants key %s, ENCRYPTION_KEY is key %s", ErrWrongKey, strings.Join(ids, ", "), r.keys.ID())
		}
	}
	return nil
}

func (r *Registry) keyIDs(ctx context.Context) ([]string, error) {
	const known = `SELECT id FROM dermaga.encryption_keys ORDER BY created_at`
	rows, err := r.pool.Query(ctx, known)
	if err != nil {
		return nil, explain("read encryption keys", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, explain("read encryption keys", err)
}

// registerKey writes the first key's check value. Of two instances that start
// with different keys, one must lose: hence the lock.
func (r *Registry) registerKey(ctx context.Context) error {
	const (
		lock = `LOCK TABLE dermaga.encryption_keys IN SHARE ROW EXCLUSIVE MODE`
		add  = `INSERT INTO dermaga.encryption_keys (id, check_value)
			SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM dermaga.encryption_keys)`
	)
	return r.inTx(ctx, "register encryption key", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, add, r.keys.ID(), r.keys.current().check)
		return err
	})
}
