package provision

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

//go:embed sql/owner.sql
var ownerSQL string

// ErrOwnerNow says that a tenant cannot get its own owner right now: it does not
// serve clients, or its tables are in use.
var ErrOwnerNow = errors.New("no owner role can be made now")

// Owner gives a tenant a login role that owns what is in its database, where
// logins of kind registry.Owner change the schema. It is made with the first of
// them, and does nothing for a tenant that has one.
//
// The role is a member of no group. journal_owner would do for one tenant, but it
// owns the databases of all: a member could let itself into any, or drop it.
func Owner(ctx context.Context, deps Deps, tenantID, actor string) error {
	tenant, err := deps.Registry.TenantByID(ctx, tenantID)
	if err != nil {
		return err
	}
	j := newJob(deps, Request{Slug: tenant.Slug, Actor: actor})
	j.resume = true // one that waits its turn is ErrRunning
	defer j.handBack()
	defer j.hangUp()
	if err := j.lease(ctx); err != nil {
		return err
	}
	_, err = deps.Registry.CurrentCredential(ctx, tenantID, registry.Owner)
	if !errors.Is(err, registry.ErrNotFound) {
		return err // nil: it has one
	}
	if tenant.Status != registry.Active {
		return fmt.Errorf("tenant %s is %s: %w", tenant.Slug, tenant.Status, ErrOwnerNow)
	}
	if err := j.load(ctx, tenant); err != nil {
		return err
	}
	err = j.makeOwner(ctx)
	if err == nil {
		return j.record(ctx, "owner", "ok", "role "+j.roles.Owner+" owns what is in the database")
	}
	return errors.Join(err, j.record(context.WithoutCancel(ctx), "owner", "failed", err.Error()))
}

func (j *Job) makeOwner(ctx context.Context) error {
	// The admin goes in as itself. The owner that it makes could leave triggers
	// there, which would run as whoever changes a row: it never goes in again.
	conn, err := j.dial(ctx, &j.inside, j.tenant.Database)
	if err != nil {
		return err
	}
	role := loginRole{
		name: registry.RoleName(j.tenant.ID, registry.Owner, 1), limit: j.roleLimit(), password: registry.NewPassword(),
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return j.handOver(ctx, tx, role) })
	if refused(err, pgerrcode.LockNotAvailable) {
		return fmt.Errorf("the tables of tenant %s are in use, try again: %w", j.tenant.Slug, ErrOwnerNow)
	}
	if err != nil {
		return fmt.Errorf("make an owner for database %s: %w", j.tenant.Database, err)
	}
	j.roles.Owner = role.name
	if err := setLimits(ctx, j); err != nil {
		return err
	}
	err = j.deps.Registry.PutCredential(ctx, registry.Credential{
		TenantID: j.tenant.ID, Kind: registry.Owner, Generation: 1, Role: role.name, Password: role.password,
	})
	if err != nil {
		return fmt.Errorf("seal the password of role %s: %w", role.name, err)
	}
	return nil
}

// handOver makes role, gives it what is in the database and lets it in.
func (j *Job) handOver(ctx context.Context, tx pgx.Tx, role loginRole) error {
	// Each table is locked for an instant. A transaction that holds one for long
	// must not make everybody wait behind us.
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '3s'"); err != nil {
		return err
	}
	if err := role.put(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('dermaga.owner', $1, true)", role.name); err != nil {
		return err
	}
	name := quote(role.name)
	for _, sql := range []string{
		"GRANT " + name + " TO CURRENT_USER",
		ownerSQL,
		"REVOKE " + name + " FROM CURRENT_USER",
		// CREATE: schemas and trusted extensions of its own.
		"GRANT CONNECT, TEMPORARY, CREATE ON DATABASE " + quote(j.tenant.Database) + " TO " + name,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
