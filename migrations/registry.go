package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/jackc/pgx/v5"
)

// registryWait is how long a starting instance lets another one finish the same
// upgrade.
const registryWait = 30 * time.Second

// Registry brings the schema dermaga of the registry database up to date, making
// it first where there is none. Instances that start together take turns. A
// registry that is newer than this binary is left alone.
func Registry(ctx context.Context, url string) error {
	conn, err := connectRegistry(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return registrySet.run(ctx, conn, registryWait, func(d *driver, m *migrate.Migrate) error {
		return registrySet.climb(d, m, nil)
	})
}

// RegistryVersion returns the version that the registry has, 0 for none, and the
// one that this binary wants.
func RegistryVersion(ctx context.Context, url string) (have, want uint, err error) {
	want = uint(registrySet.Latest())
	conn, err := connectRegistry(ctx, url)
	if err != nil {
		return 0, want, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	v, err := registrySet.Version(ctx, conn)
	return uint(v), want, err
}

// connectRegistry accepts the URL as Prisma writes it: what only Prisma
// understands is dropped, since PostgreSQL would refuse it.
func connectRegistry(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("registry URL: %w", err)
	}
	for _, name := range []string{"schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout"} {
		delete(cfg.RuntimeParams, name)
	}
	cfg.RuntimeParams["application_name"] = "dermaga registry"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the registry: %w", err)
	}
	return conn, nil
}
