package provision

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

//go:embed sql/schema.sql
var schemaSQL string

// prepareSchema sets who may do what with the objects that migrations make.
func prepareSchema(ctx context.Context, j *Job) error {
	conn, err := j.asOwner(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, schemaSQL); err != nil {
		return fmt.Errorf("set the grants of database %s: %w", j.tenant.Database, err)
	}
	return nil
}

// protectVersionsSQL keeps the tenant from telling the migrator lies.
const protectVersionsSQL = `REVOKE INSERT, UPDATE, DELETE ON public.schema_migrations FROM journal_app`

// migrate brings the database to the newest journal schema, file by file, each
// recorded with its duration and checksum.
func migrate(ctx context.Context, j *Job) error {
	if j.tenant.Status != registry.Migrating {
		act := registry.Act{Actor: j.req.Actor, Message: "database and roles exist"}
		if err := j.deps.Registry.SetStatus(ctx, j.tenant.ID, registry.Migrating, act); err != nil {
			return err
		}
		j.tenant.Status = registry.Migrating
	}
	conn, err := j.asOwner(ctx)
	if err != nil {
		return err
	}
	set := migrations.Journal()
	var unrecorded error
	err = set.Up(ctx, conn, func(a migrations.Applied) {
		err := j.deps.Registry.RecordMigration(ctx, registry.Migration{
			TenantID: j.tenant.ID, Set: set.Name(), Version: a.Version, Name: a.Name, SHA256: a.SHA256,
			Actor: j.req.Actor, Duration: a.Duration, Err: a.Err,
		})
		if err != nil {
			unrecorded = errors.Join(unrecorded, fmt.Errorf("record migration %d: %w", a.Version, err))
		}
	})
	if err := errors.Join(err, unrecorded); err != nil {
		return fmt.Errorf("migrate database %s: %w", j.tenant.Database, err)
	}
	if _, err := conn.Exec(ctx, protectVersionsSQL); err != nil {
		return fmt.Errorf("protect the schema version: %w", err)
	}
	return nil
}

// forgetMigrations forgets what was done to a database that is gone.
func forgetMigrations(ctx context.Context, j *Job) error {
	const sql = `DELETE FROM dermaga.tenant_migrations WHERE tenant_id = $1`
	if _, err := j.deps.Registry.Pool().Exec(ctx, sql, j.tenant.ID); err != nil {
		return fmt.Errorf("forget the migrations: %w", err)
	}
	return nil
}

// seed fills in the chart of accounts, the taxes and this year's periods.
func seed(ctx context.Context, j *Job) error {
	conn, err := j.asOwner(ctx)
	if err != nil {
		return err
	}
	if err := migrations.SeedJournal(ctx, conn, time.Now().Year()); err != nil {
		return fmt.Errorf("seed database %s: %w", j.tenant.Database, err)
	}
	return nil
}
