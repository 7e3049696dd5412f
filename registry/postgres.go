package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// applicationName is how the registry's connections show in pg_stat_activity.
	applicationName = "dermaga registry"
	// connectTimeout bounds dial and login, unless the URL's connect_timeout does.
	connectTimeout = 2 * time.Second
)

// prismaParameters may stand in a URL that was written for Prisma. PostgreSQL
// would refuse them as unknown settings.
var prismaParameters = []string{"schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout"}

// poolConfig reads the registry's URL. Errors show it without its password.
func poolConfig(url Secret) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, fmt.Errorf("registry URL: %w", err)
	}
	for _, name := range prismaParameters {
		delete(cfg.ConnConfig.RuntimeParams, name)
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = applicationName
	// Every name in our SQL has its schema; what a role's own setting would put
	// in between must not matter.
	cfg.ConnConfig.RuntimeParams["search_path"] = "pg_catalog"
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	return cfg, nil
}

// sentinels by the name of the constraint that was violated.
var sentinels = map[string]error{
	"tenants_slug_live":     ErrSlugTaken,
	"tenants_database_live": ErrSlugTaken,
	"tenants_plan":          ErrInvalid,
	"servers_address":       ErrServerTaken,
	"logins_one_sort":       ErrLoginTaken,
	"logins_tenant":         ErrConflict, // made by somebody else since we looked
	"logins_service":        ErrConflict,
	"tenant_transition":     ErrTransition,
	"tenant_purged":         ErrTransition,
}

// explain wraps what PostgreSQL or the network said in the sentinel that callers
// ask for, and names what was attempted.
func explain(attempt string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s: %w", attempt, ErrNotFound)
	}
	if sentinel := sentinelFor(err); sentinel != nil {
		return fmt.Errorf("%s: %w: %w", attempt, sentinel, err)
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

func sentinelFor(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		var network net.Error
		var connect *pgconn.ConnectError
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if ended || errors.As(err, &connect) || errors.As(err, &network) && !errors.Is(err, context.Canceled) {
			return ErrUnavailable
		}
		return nil
	}
	if s, ok := sentinels[pg.ConstraintName]; ok {
		return s
	}
	switch pg.Code {
	case pgerrcode.CheckViolation, pgerrcode.NotNullViolation:
		return ErrInvalid
	case pgerrcode.ForeignKeyViolation, pgerrcode.InvalidTextRepresentation: // an id that no row has, or that is no id
		return ErrNotFound
	case pgerrcode.AdminShutdown, pgerrcode.CannotConnectNow, pgerrcode.TooManyConnections:
		return ErrUnavailable
	}
	return nil
}

// inTx runs f in a transaction.
func (r *Registry) inTx(ctx context.Context, attempt string, f func(pgx.Tx) error) error {
	return explain(attempt, pgx.BeginFunc(ctx, r.pool, f))
}
