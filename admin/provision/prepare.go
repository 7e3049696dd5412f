package provision

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/registry"
)

// oldestServer is PostgreSQL 15: the first in which PUBLIC may not create
// objects in the schema public and parameters can be granted.
const oldestServer = 150000

// adminRole is what a superuser makes for Dermaga to work as.
const adminRole = "dermaga_admin"

var (
	//go:embed sql/groups.sql
	groupsSQL string
	//go:embed sql/superuser.sql
	superuserSQL string
)

// Prepared is a server that tenants can be put on.
type Prepared struct {
	// Role and Password are what provisioning logs in with: no superuser.
	Role     string
	Password registry.Secret

	// Budget is how many connections the tenants may have together: the server's,
	// without those that it keeps for superusers and keptConnections.
	Budget int

	// Version is PostgreSQL's server_version_num.
	Version int

	// MayEnd says that the role may end sessions of tenants. Without it the
	// fence of a suspended tenant lets in nobody new, and leaves who is there.
	MayEnd bool

	// Open names the databases that every role on the server may connect to,
	// tenants' roles included: theirs to close, by REVOKE CONNECT … FROM PUBLIC.
	Open []string
}

// PrepareServer makes the server behind url ready for tenants: the group roles,
// and the role that provisioning works as. It may run again at any time.
//
// A superuser's url makes the role dermaga_admin, gives it password and closes
// the databases postgres and template1 to PUBLIC. Another role's url, which
// needs CREATEDB and CREATEROLE, is worked with as it is, and password unused.
func PrepareServer(ctx context.Context, url, password registry.Secret) (Prepared, error) {
	cfg, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return Prepared{}, errors.New("server URL: not a connection URL") // err may quote it
	}
	cfg.Database = maintenanceDatabase
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return Prepared{}, fmt.Errorf("reach the tenants' server: %w", err)
	}
	defer closeConn(conn)

	done := Prepared{Role: cfg.User, Password: registry.Secret(cfg.Password)}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Replicas that start together prepare one after another.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('dermaga prepare server', 0))`); err != nil {
			return err
		}
		super, err := inspect(ctx, tx, &done)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, groupsSQL); err != nil {
			return fmt.Errorf("make the group roles: %w", err)
		}
		if super {
			done.Role, done.Password = adminRole, password
			return makeAdmin(ctx, tx, password)
		}
		return joinGroups(ctx, tx)
	})
	if err != nil {
		return Prepared{}, fmt.Errorf("prepare the tenants' server: %w", err)
	}
	const mayEnd = `SELECT rolsuper OR pg_has_role(oid, 'pg_signal_backend', 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = $1`
	if err := conn.QueryRow(ctx, mayEnd, done.Role).Scan(&done.MayEnd); err != nil {
		return Prepared{}, fmt.Errorf("prepare the tenants' server: %w", err)
	}
	done.Open, err = openDatabases(ctx, conn)
	return done, err
}

// keptConnections are kept for Role: when the tenants have all the others, it must
// still be able to get in and fence one of them.
const keptConnections = 5

const inspectSQL = `
SELECT rolsuper, rolsuper OR (rolcreatedb AND rolcreaterole),
       current_setting('server_version_num')::int,
       greatest(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) - $1, 1)
FROM pg_catalog.pg_roles WHERE rolname = current_user`

func inspect(ctx context.Context, tx pgx.Tx, done *Prepared) (super bool, err error) {
	var able bool
	err = tx.QueryRow(ctx, inspectSQL, keptConnections).Scan(&super, &able, &done.Version, &done.Budget)
	switch {
	case err != nil:
		return false, err
	case done.Version < oldestServer:
		return false, fmt.Errorf("PostgreSQL %d is too old: tenants need 15 or later", done.Version/10000)
	case !able:
		return false, fmt.Errorf("role %s may not make databases and roles: give it CREATEDB and CREATEROLE, or use a superuser's URL once", done.Role)
	}
	return super, nil
}

func makeAdmin(ctx context.Context, tx pgx.Tx, password registry.Secret) error {
	if password == "" {
		return errors.New("no password for " + adminRole)
	}
	admin := loginRole{name: adminRole, attributes: "CREATEDB CREATEROLE", limit: -1, password: password}
	if err := admin.put(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, superuserSQL); err != nil {
		return fmt.Errorf("grant %s what it needs: %w", adminRole, err)
	}
	return nil
}

// joinGroups makes the admin a member of the groups, which it needs for giving
// databases to journal_owner and for migrating as it.
func joinGroups(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "GRANT "+groupOwner+", "+groupApp+", "+groupReadOnly+" TO CURRENT_USER")
	if refused(err, pgerrcode.InsufficientPrivilege) {
		return fmt.Errorf("the group roles were made by another role, who must grant them: GRANT %s, %s, %s TO … WITH ADMIN OPTION: %w",
			groupOwner, groupApp, groupReadOnly, err)
	}
	return err
}

const openDatabasesSQL = `
SELECT datname FROM pg_catalog.pg_database d
WHERE datallowconn AND EXISTS (
  SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
ORDER BY datname`

func openDatabases(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, openDatabasesSQL)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for databases open to everybody: %w", err)
	}
	return names, nil
}

// refused reports whether PostgreSQL answered with one of codes.
func refused(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, code := range codes {
		if pg.Code == code {
			return true
		}
	}
	return false
}
