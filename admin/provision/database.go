package provision

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

// adminConnections is how many connections the admin may need in a tenant's
// database beside the tenant's own: a migration and one to look at it.
const adminConnections = 3

// noteOn is how a database says whose it is, where the server's own catalog
// keeps it: the registry may be lost or wrong.
func (j *Job) noteOn() string { return "dermaga tenant " + j.tenant.ID }

// state is what the server's catalog says of a database.
type state struct {
	exists bool
	note   string
	closed bool // made by us and never opened: owner journal_owner, limit 0
}

const stateSQL = `
SELECT coalesce(shobj_description(oid, 'pg_database'), ''),
       datconnlimit = 0 AND pg_get_userbyid(datdba) = 'journal_owner'
FROM pg_catalog.pg_database WHERE datname = $1`

func (j *Job) look(ctx context.Context, conn *pgx.Conn) (state, error) {
	s := state{exists: true}
	err := conn.QueryRow(ctx, stateSQL, j.tenant.Database).Scan(&s.note, &s.closed)
	if errors.Is(err, pgx.ErrNoRows) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("look for database %s: %w", j.tenant.Database, err)
	}
	return s, nil
}

// makeDatabase makes the database so that nobody can enter it, closes it to
// everybody, and only then lets the admin in: a fresh database is open to
// PUBLIC. The tenant's roles follow when it is finished, in openDatabase.
func makeDatabase(ctx context.Context, j *Job) error {
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	found, err := j.look(ctx, conn)
	if err != nil {
		return err
	}
	name := quote(j.tenant.Database)
	switch {
	case !found.exists:
		// template0 has no visitors and nothing of anybody's in it. From here
		// on a database of that name is ours, noted or not.
		j.madeDatabase = true
		_, err = conn.Exec(ctx, "CREATE DATABASE "+name+" OWNER "+groupOwner+
			" TEMPLATE template0 ENCODING 'UTF8' CONNECTION LIMIT 0")
	case found.note == j.noteOn(), found.note == "" && j.madeDatabase:
	case found.note == "" && j.resume && found.closed: // killed before it was noted
	default:
		return fmt.Errorf("database %s exists at server %s and is not this tenant's: rename or drop it, or set another prefix",
			j.tenant.Database, j.server.Name)
	}
	if err != nil {
		return fmt.Errorf("make database %s: %w", j.tenant.Database, err)
	}
	for _, sql := range []string{
		"COMMENT ON DATABASE " + name + " IS " + quoteLiteral(j.noteOn()),
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"ALTER DATABASE " + name + " CONNECTION LIMIT " + strconv.Itoa(adminConnections),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("lock down database %s: %w", j.tenant.Database, err)
		}
	}
	return nil
}

// DatabaseLimit is the CONNECTION LIMIT of a tenant's database while clients are
// let in: those of app, readonly and owner, and the admin's.
func DatabaseLimit(plan registry.Plan, own registry.Overrides) int {
	return 3*roleLimit(plan, own) + adminConnections
}

// openDatabase lets the tenant's own roles in, and nobody else.
func openDatabase(ctx context.Context, j *Job) error {
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	name := quote(j.tenant.Database)
	limit := DatabaseLimit(j.plan, j.tenant.Overrides)
	for _, sql := range []string{
		"GRANT CONNECT, TEMPORARY ON DATABASE " + name + " TO " + quote(j.roles.App),
		"GRANT CONNECT ON DATABASE " + name + " TO " + quote(j.roles.ReadOnly),
		"ALTER DATABASE " + name + " CONNECTION LIMIT " + strconv.Itoa(limit),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("open database %s: %w", j.tenant.Database, err)
		}
	}
	return nil
}

// dropDatabase ends the sessions in the tenant's database and drops it. Another
// one of that name, which makeDatabase refused, is left alone.
func dropDatabase(ctx context.Context, j *Job) error {
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	found, err := j.look(ctx, conn)
	if err != nil || !found.exists {
		return err
	}
	if found.note != j.noteOn() && !j.madeDatabase {
		return nil
	}
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(j.tenant.Database)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", j.tenant.Database, err)
	}
	return j.gone(ctx, conn, `SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1`, j.tenant.Database)
}
