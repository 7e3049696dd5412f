package provision

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/registry"
)

// The group roles, the same on every server and in every tenant's database.
const (
	groupOwner    = "journal_owner"
	groupApp      = "journal_app"
	groupReadOnly = "journal_ro"
)

// spareConnections is what a role may open beyond its pool: a server connection
// that is being closed still counts while its successor logs in.
const spareConnections = 3

// database is a connection or a transaction.
type database interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// A loginRole is a role that somebody logs in as.
type loginRole struct {
	name       string
	attributes string // beyond LOGIN
	limit      int    // CONNECTION LIMIT; -1: none
	password   registry.Secret
}

// put makes r, or re-keys it when it exists. PostgreSQL is sent a verifier,
// never the password: statements end up in logs.
func (r loginRole) put(ctx context.Context, db database) error {
	verifier, err := registry.NewVerifier(r.password)
	if err != nil {
		return fmt.Errorf("verifier for role %s: %w", r.name, err)
	}
	var there bool
	const look = `SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)`
	if err := db.QueryRow(ctx, look, r.name).Scan(&there); err != nil {
		return fmt.Errorf("look for role %s: %w", r.name, err)
	}
	verb := "CREATE ROLE "
	if there {
		verb = "ALTER ROLE "
	}
	_, err = db.Exec(ctx, verb+quote(r.name)+" LOGIN "+r.attributes+
		" CONNECTION LIMIT "+strconv.Itoa(r.limit)+" PASSWORD "+quoteLiteral(verifier))
	if err != nil {
		return fmt.Errorf("make role %s: %w", r.name, err)
	}
	return nil
}

// makeRoles makes the tenant's two login roles and seals their passwords in the
// registry. A second run gives them new passwords.
func makeRoles(ctx context.Context, j *Job) error {
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	j.roles = registry.RoleNames(j.tenant.ID)
	for _, r := range []struct {
		name, group string
		kind        registry.RoleKind
	}{
		{j.roles.App, groupApp, registry.App},
		{j.roles.ReadOnly, groupReadOnly, registry.ReadOnly},
	} {
		password := registry.NewPassword()
		made := loginRole{name: r.name, limit: j.roleLimit(), password: password}
		if err := made.put(ctx, conn); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "GRANT "+r.group+" TO "+quote(r.name)); err != nil {
			return fmt.Errorf("put role %s into group %s: %w", r.name, r.group, err)
		}
		err := j.deps.Registry.PutCredential(ctx, registry.Credential{
			TenantID: j.tenant.ID, Kind: r.kind, Generation: 1, Role: r.name, Password: password,
		})
		if err != nil {
			return fmt.Errorf("seal the password of role %s: %w", r.name, err)
		}
	}
	return nil
}

// dropRoles needs the database gone: until then it grants them something.
func dropRoles(ctx context.Context, j *Job) error {
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	roles := registry.RoleNames(j.tenant.ID)
	for _, name := range roles.All() {
		if _, err := conn.Exec(ctx, "DROP ROLE IF EXISTS "+quote(name)); err != nil {
			return fmt.Errorf("drop role %s: %w", name, err)
		}
	}
	return j.gone(ctx, conn, `SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname IN ($1, $2)`, roles.App, roles.ReadOnly)
}

// roleLimit is the barrier behind the broker's own limit: the plan's pool size,
// or the tenant's own.
func (j *Job) roleLimit() int { return roleLimit(j.plan, j.tenant.Overrides) }

func roleLimit(plan registry.Plan, own registry.Overrides) int {
	if own.PoolSize > 0 {
		return own.PoolSize + spareConnections
	}
	return plan.ServerConnections + spareConnections
}

// quote makes an identifier of any name.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// quoteLiteral makes a string literal, for statements that take no parameters.
// What it is given has no backslash, which an old setting would read as escape.
func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
