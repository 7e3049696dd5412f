package registry

import "context"

// A Server is a PostgreSQL server that holds tenants' databases.
type Server struct {
	ID      int64
	Name    string
	Host    string
	Port    int
	SSLMode string // as libpq's: disable, allow, prefer, require, verify-ca, verify-full
	CAPEM   string
	State   string // active, draining (no new tenants), disabled
	Tenants int    // that live on it; not filled by Lookup
}

// NewServer is what AddServer needs.
type NewServer struct {
	Name             string
	Host             string
	Port             int    // 0: 5432
	SSLMode          string // "": prefer
	CAPEM            string
	ConnectionBudget int    // connections that all tenants may use together; 0: 90
	MaxTenants       int    // 0: no limit
	AdminRole        string // may CREATEDB and CREATEROLE; need not be a superuser
	AdminPassword    Secret
	Actor            string
}

// AddServer adds a server with its sealed admin credential, or brings the one
// of that name up to date. Nothing is written, nor announced, if all is the
// same. An address that another server has is ErrServerTaken.
func (r *Registry) AddServer(ctx context.Context, n NewServer) (Server, error) { panic("soon") }

// Servers returns all servers by name.
func (r *Registry) Servers(ctx context.Context) ([]Server, error) { panic("soon") }

// ServerByName returns a server, or ErrNotFound.
func (r *Registry) ServerByName(ctx context.Context, name string) (Server, error) { panic("soon") }

// ServerByID returns a server, or ErrNotFound.
func (r *Registry) ServerByID(ctx context.Context, id int64) (Server, error) { panic("soon") }

// ServerCredential returns the role and password with which Dermaga
// administers a server.
func (r *Registry) ServerCredential(ctx context.Context, id int64) (role string, password Secret, err error) {
	panic("soon")
}
