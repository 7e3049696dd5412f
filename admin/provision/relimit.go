package provision

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nusajournal/dermaga/registry"
)

// Relimit brings a tenant's roles and database at PostgreSQL up to what its plan
// and its own limits say now. Settings hold for the server connections that are
// opened from here on. The database of a tenant that is fenced stays closed.
func Relimit(ctx context.Context, deps Deps, tenant registry.Tenant) error {
	j := newJob(deps, Request{})
	defer j.hangUp()
	if err := j.load(ctx, tenant); err != nil {
		return err
	}
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	limit := strconv.Itoa(j.roleLimit())
	for _, role := range j.roles.All() {
		if _, err := conn.Exec(ctx, "ALTER ROLE "+quote(role)+" CONNECTION LIMIT "+limit); err != nil {
			return fmt.Errorf("limit the connections of role %s: %w", role, err)
		}
	}
	if err := setLimits(ctx, j); err != nil {
		return err
	}
	if tenant.Status == registry.Suspended || tenant.Status == registry.Deleted {
		return nil
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+quote(tenant.Database)+
		" CONNECTION LIMIT "+strconv.Itoa(DatabaseLimit(j.plan, tenant.Overrides)))
	if err != nil {
		return fmt.Errorf("limit the connections of database %s: %w", tenant.Database, err)
	}
	return nil
}

// load makes j a job on a tenant that exists.
func (j *Job) load(ctx context.Context, tenant registry.Tenant) error {
	reg := j.deps.Registry
	j.tenant = tenant
	var err error
	if j.plan, err = reg.PlanByName(ctx, tenant.Plan); err != nil {
		return fmt.Errorf("plan of tenant %s: %w", tenant.Slug, err)
	}
	if j.server, err = reg.ServerByID(ctx, tenant.ServerID); err != nil {
		return fmt.Errorf("server of tenant %s: %w", tenant.Slug, err)
	}
	for kind, role := range map[registry.RoleKind]*string{
		registry.App: &j.roles.App, registry.ReadOnly: &j.roles.ReadOnly, registry.Owner: &j.roles.Owner,
	} {
		c, err := reg.CurrentCredential(ctx, tenant.ID, kind)
		if kind == registry.Owner && errors.Is(err, registry.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		*role = c.Role
	}
	return nil
}
