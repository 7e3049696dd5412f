package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Migration is one run of one schema file against one tenant.
type Migration struct {
	TenantID  string
	Set       string // journal
	Version   uint64
	Name      string
	SHA256    [32]byte
	Actor     string    // "": system
	StartedAt time.Time // zero: now minus Duration
	Duration  time.Duration
	Err       error // nil: applied. When read back, only its text is left
}

const (
	recordMigrationSQL = `
INSERT INTO dermaga.tenant_migrations
  (tenant_id, set_name, version, attempt, name, state, sha256, actor, started_at, duration, sqlstate, error)
SELECT $1::text::uuid, $2, $3, coalesce(max(m.attempt), 0) + 1, $4, $5, $6, $7, $8, $9::bigint * interval '1 microsecond', $10, $11
FROM dermaga.tenant_migrations m
WHERE m.tenant_id = $1::text::uuid AND m.set_name = $2 AND m.version = $3`
	migrationsSQL = `
SELECT tenant_id::text, set_name, version, name, sha256, actor, started_at,
  (extract(epoch FROM duration) * 1000000)::bigint, error
FROM dermaga.tenant_migrations
WHERE tenant_id = $1::text::uuid
ORDER BY started_at, version, attempt`
)

// RecordMigration appends m as one more attempt.
func (r *Registry) RecordMigration(ctx context.Context, m Migration) error {
	state, sqlstate, text := "applied", "", ""
	if m.Err != nil {
		state, text = "failed", m.Err.Error()
		var pg *pgconn.PgError
		if errors.As(m.Err, &pg) {
			sqlstate = pg.Code
		}
	}
	if m.StartedAt.IsZero() {
		m.StartedAt = time.Now().Add(-m.Duration)
	}
	_, err := r.pool.Exec(ctx, recordMigrationSQL, m.TenantID, m.Set, int64(m.Version), m.Name, state, m.SHA256[:],
		firstOf(m.Actor, "system"), m.StartedAt, m.Duration.Microseconds(), nullable(sqlstate), nullable(text))
	return explain("record migration", err)
}

// Migrations returns what is on record for a tenant, oldest first.
func (r *Registry) Migrations(ctx context.Context, tenantID string) ([]Migration, error) {
	rows, err := r.pool.Query(ctx, migrationsSQL, tenantID)
	if err != nil {
		return nil, explain("list migrations", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Migration, err error) {
		var version, micros int64
		var sha []byte
		var text *string
		err = row.Scan(&m.TenantID, &m.Set, &version, &m.Name, &sha, &m.Actor, &m.StartedAt, &micros, &text)
		m.Version, m.Duration = uint64(version), time.Duration(micros)*time.Microsecond
		copy(m.SHA256[:], sha)
		if text != nil {
			m.Err = errors.New(*text)
		}
		return m, err
	})
	return found, explain("list migrations", err)
}
