package provision

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

// maintenanceDatabase is where the admin works on what belongs to no database.
const maintenanceDatabase = "postgres"

// closeLimit bounds the goodbye to a server that may be gone.
const closeLimit = 5 * time.Second

// connect logs in to a database of server.
func connect(ctx context.Context, server registry.Server, role string, password registry.Secret, database string) (*pgx.Conn, error) {
	cfg, err := connConfig(server, role, database)
	if err != nil {
		return nil, err
	}
	cfg.Password = password.Reveal()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to database %s at server %s (%s:%d): %w", database, server.Name, server.Host, server.Port, err)
	}
	return conn, nil
}

// connConfig has no password, so that no error can quote one.
func connConfig(server registry.Server, role, database string) (*pgx.ConnConfig, error) {
	query := url.Values{
		"host":             {server.Host}, // here it may also be a socket's folder
		"port":             {strconv.Itoa(server.Port)},
		"application_name": {"dermaga admin"},
		"connect_timeout":  {"15"},
	}
	if server.SSLMode != "" {
		query.Set("sslmode", server.SSLMode)
	}
	u := url.URL{Scheme: "postgresql", User: url.User(role), Path: "/" + database, RawQuery: query.Encode()}
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("address of server %s: %w", server.Name, err)
	}
	if server.CAPEM == "" {
		return cfg, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(server.CAPEM)) {
		return nil, errors.New("server " + server.Name + ": its CA is not a PEM certificate")
	}
	if cfg.TLSConfig != nil {
		cfg.TLSConfig.RootCAs = roots
	}
	for _, f := range cfg.Fallbacks {
		if f.TLSConfig != nil {
			f.TLSConfig.RootCAs = roots
		}
	}
	return cfg, nil
}

// closeConn says goodbye, for a bounded time, also when the work was cancelled.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to do about a failed goodbye
}

// AsAdmin logs in to the maintenance database of a server as the role that
// administers it. Whoever calls it closes the connection.
func AsAdmin(ctx context.Context, reg *registry.Registry, serverID int64) (*pgx.Conn, error) {
	server, err := reg.ServerByID(ctx, serverID)
	if err != nil {
		return nil, err
	}
	role, password, err := reg.ServerCredential(ctx, serverID)
	if err != nil {
		return nil, fmt.Errorf("admin credential of server %s: %w", server.Name, err)
	}
	return connect(ctx, server, role, password, maintenanceDatabase)
}

// asAdmin returns the job's connection to the maintenance database.
func (j *Job) asAdmin(ctx context.Context) (*pgx.Conn, error) {
	return j.dial(ctx, &j.admin, maintenanceDatabase)
}

// asOwner returns the job's connection to the tenant's database, where it acts
// as the owner of everything in it.
func (j *Job) asOwner(ctx context.Context) (*pgx.Conn, error) {
	if j.inside != nil && !j.inside.IsClosed() {
		return j.inside, nil
	}
	conn, err := j.dial(ctx, &j.inside, j.tenant.Database)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SET ROLE "+groupOwner); err != nil {
		return nil, fmt.Errorf("act as %s: %w", groupOwner, err)
	}
	return conn, nil
}

// dial keeps one connection in *at, and replaces it when it was lost.
func (j *Job) dial(ctx context.Context, at **pgx.Conn, database string) (*pgx.Conn, error) {
	if *at != nil && !(*at).IsClosed() {
		return *at, nil
	}
	role, password, err := j.deps.Registry.ServerCredential(ctx, j.server.ID)
	if err != nil {
		return nil, fmt.Errorf("admin credential of server %s: %w", j.server.Name, err)
	}
	conn, err := connect(ctx, j.server, role, password, database)
	if err != nil {
		return nil, err
	}
	*at = conn
	j.backends = append(j.backends, int32(conn.PgConn().PID())) // a pid is an int4
	return conn, nil
}
