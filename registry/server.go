package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL server that holds tenants' databases.
type Server struct {
	ID      int64
	Name    string
	Host    string
	Port    int
	SSLMode string // as libpq's: disable, allow, prefer, require, verify-ca, verify-full
	CAPEM   string
	State   string // active, draining (no new tenants), disabled

	ConnectionBudget int // connections that all instances and tenants may use together
	Tenants          int // that live on it; not filled by Lookup
	MaxTenants       int // 0: no limit; not filled by Lookup
}

// NewServer is what AddServer needs.
type NewServer struct {
	Name             string
	Host             string
	Port             int    // 0: 5432
	SSLMode          string // "": prefer
	CAPEM            string
	ConnectionBudget int    // connections that all tenants may use together; 0: 90, or as it is
	MaxTenants       int    // 0: no limit, or as it is
	AdminRole        string // may CREATEDB and CREATEROLE; need not be a superuser
	AdminPassword    Secret
	Actor            string
}

const (
	// putServerSQL writes nothing, and so announces nothing, where all is the same.
	putServerSQL = `
INSERT INTO dermaga.servers AS s (name, host, port, sslmode, ca_pem, connection_budget, max_tenants)
VALUES ($1, $2, $3, $4, $5, coalesce(nullif($6, 0), 90), nullif($7, 0))
ON CONFLICT (name) DO UPDATE
SET host = $2, port = $3, sslmode = $4, ca_pem = $5,
  connection_budget = coalesce(nullif($6, 0), s.connection_budget), max_tenants = coalesce(nullif($7, 0), s.max_tenants)
WHERE (s.host, s.port, s.sslmode, s.ca_pem) IS DISTINCT FROM ($2, $3, $4, $5)
  OR nullif($6, 0) <> s.connection_budget OR nullif($7, 0) IS DISTINCT FROM coalesce(nullif($7, 0), s.max_tenants)
RETURNING s.id`
	serversSQL = `
SELECT s.id, s.name, s.host, s.port, s.sslmode, coalesce(s.ca_pem, ''), s.state, s.connection_budget,
  (SELECT count(*)::int FROM dermaga.tenants t WHERE t.server_id = s.id AND t.purged_at IS NULL), coalesce(s.max_tenants, 0)
FROM dermaga.servers s
WHERE ($1::bigint IS NULL OR s.id = $1) AND ($2::text IS NULL OR s.name = $2)
ORDER BY s.name`
	serverCredentialSQL    = `SELECT role, key_id, sealed FROM dermaga.server_credentials WHERE server_id = $1`
	putServerCredentialSQL = `
INSERT INTO dermaga.server_credentials (server_id, role, key_id, sealed) VALUES ($1, $2, $3, $4)
ON CONFLICT (server_id) DO UPDATE SET role = $2, key_id = $3, sealed = $4`
)

// AddServer adds a server with its sealed admin credential, or brings the one
// of that name up to date. Nothing is written, nor announced, if all is the
// same. An address that another server has is ErrServerTaken.
func (r *Registry) AddServer(ctx context.Context, n NewServer) (Server, error) {
	n.Port, n.SSLMode = firstOf(n.Port, 5432), firstOf(n.SSLMode, "prefer")
	var s Server
	err := r.inTx(ctx, fmt.Sprintf("add server %q", n.Name), func(tx pgx.Tx) error {
		var id int64
		err := tx.QueryRow(ctx, putServerSQL, n.Name, n.Host, n.Port, n.SSLMode, nullable(n.CAPEM), n.ConnectionBudget, n.MaxTenants).Scan(&id)
		changed := err == nil
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if s, err = oneServer(ctx, tx, nil, n.Name); err != nil {
			return err
		}
		rekeyed, err := r.putServerCredential(ctx, tx, s.ID, n.AdminRole, n.AdminPassword)
		if err != nil || !changed && !rekeyed {
			return err
		}
		return record(ctx, tx, Activity{
			ServerID: s.ID, Actor: n.Actor, Action: "server.put",
			Message: fmt.Sprintf("%s at %s:%d, sslmode %s, role %s", n.Name, n.Host, n.Port, n.SSLMode, n.AdminRole),
		})
	})
	return s, err
}

func serverBinding(id int64, role string) Binding {
	return Binding{TenantID: "server " + strconv.FormatInt(id, 10), Kind: "server", Role: role}
}

// putServerCredential reports whether it had to write.
func (r *Registry) putServerCredential(ctx context.Context, tx pgx.Tx, id int64, role string, password Secret) (bool, error) {
	if role == "" {
		return false, fmt.Errorf("%w: the server's admin role is not named", ErrInvalid)
	}
	// One that does not open, whatever the reason, is replaced.
	if has, was, err := r.serverCredential(ctx, tx, id); err == nil && has == role && was == password {
		return false, nil
	}
	keyID, sealed, err := r.keys.Seal(password, serverBinding(id, role))
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, putServerCredentialSQL, id, role, keyID, sealed)
	return true, err
}

// ServerCredential returns the role and password with which Dermaga
// administers a server.
func (r *Registry) ServerCredential(ctx context.Context, id int64) (role string, password Secret, err error) {
	role, password, err = r.serverCredential(ctx, r.pool, id)
	return role, password, explain(fmt.Sprintf("credential of server %d", id), err)
}

func (r *Registry) serverCredential(ctx context.Context, db querier, id int64) (role string, password Secret, err error) {
	rows, err := db.Query(ctx, serverCredentialSQL, id)
	if err != nil {
		return "", "", err
	}
	type row struct {
		Role, KeyID string
		Sealed      []byte
	}
	x, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return "", "", err
	}
	password, err = r.keys.Open(x.KeyID, x.Sealed, serverBinding(id, x.Role))
	return x.Role, password, err
}

// Servers returns all servers by name.
func (r *Registry) Servers(ctx context.Context) ([]Server, error) {
	found, err := servers(ctx, r.pool, nil, "")
	return found, explain("list servers", err)
}

// ServerByName returns a server, or ErrNotFound.
func (r *Registry) ServerByName(ctx context.Context, name string) (Server, error) {
	if name == "" {
		return Server{}, fmt.Errorf("server %q: %w", name, ErrNotFound)
	}
	s, err := oneServer(ctx, r.pool, nil, name)
	return s, explain(fmt.Sprintf("server %q", name), err)
}

// ServerByID returns a server, or ErrNotFound.
func (r *Registry) ServerByID(ctx context.Context, id int64) (Server, error) {
	s, err := oneServer(ctx, r.pool, &id, "")
	return s, explain(fmt.Sprintf("server %d", id), err)
}

func oneServer(ctx context.Context, db querier, id *int64, name string) (Server, error) {
	found, err := servers(ctx, db, id, name)
	if err != nil {
		return Server{}, err
	}
	if len(found) == 0 {
		return Server{}, pgx.ErrNoRows
	}
	return found[0], nil
}

func servers(ctx context.Context, db querier, id *int64, name string) ([]Server, error) {
	rows, err := db.Query(ctx, serversSQL, id, nullable(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Server])
}
