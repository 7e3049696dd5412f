package client

import "time"

// AllTenants in a list of grants stands for every tenant, those to come included.
const AllTenants = "all"

// NewLogin is what creating a login takes: a tenant's, or a service's with
// grants.
type NewLogin struct {
	Name        string     `json:"name" doc:"What clients give as user" example:"reporting"`
	Tenant      string     `json:"tenant,omitempty" doc:"Slug of the tenant that it belongs to"`
	Service     bool       `json:"service,omitempty" doc:"It belongs to no tenant and reaches those that it is granted"`
	Grants      []string   `json:"grants,omitempty" maxItems:"1000" doc:"Of a service login: slugs, or all"`
	Role        string     `json:"role,omitempty" doc:"app reads and writes rows, readonly reads, owner changes the schema (a tenant's login only; takes an admin's token); default: app"`
	Console     string     `json:"console,omitempty" doc:"What it may do in the console: stats or admin; default: nothing"`
	PoolMode    string     `json:"poolMode,omitempty" doc:"auto, transaction, statement or session; default: the tenant's"`
	MaxClients  int        `json:"maxClients,omitempty" minimum:"0" doc:"Clients at the same time; 0: no limit of its own"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty" doc:"From then on it is unknown; absent: never"`
	Replication bool       `json:"replication,omitempty" doc:"It may open connections for logical replication, which read all of the tenant's data; takes an admin's token"`

	// IdempotencyKey is like NewTenant's.
	IdempotencyKey string `json:"-"`
}

// Login is a name with which clients log in to the broker.
type Login struct {
	ID          string     `json:"id" format:"uuid"`
	Name        string     `json:"name"`
	Tenant      string     `json:"tenant,omitempty" doc:"Slug of its tenant; absent: it is a service's"`
	Service     bool       `json:"service"`
	Grants      []string   `json:"grants,omitempty" doc:"Of a service login: slugs, or all"`
	Role        string     `json:"role" enum:"app,readonly,owner"`
	Console     string     `json:"console,omitempty"`
	PoolMode    string     `json:"poolMode,omitempty"`
	MaxClients  int        `json:"maxClients,omitempty"`
	Replication bool       `json:"replication,omitempty" doc:"It may open connections for logical replication"`
	CreatedAt   time.Time  `json:"createdAt"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
	DisabledAt  *time.Time `json:"disabledAt,omitempty"`
}

// LoginWithPassword is a login whose password was made just now, and is shown
// this once.
type LoginWithPassword struct {
	Login
	Password string `json:"password" doc:"Nobody can show it again"`
	URL      string `json:"url" doc:"Connection URL with the password; of a service login with {slug} for the tenant"`
}

// LoginChanged is a login after a change that takes something away, with where
// that has happened.
type LoginChanged struct {
	Login     Login      `json:"login"`
	Instances []Instance `json:"instances" doc:"The brokers, and whether the change has happened there"`
}

// Logins is a page of logins, by name.
type Logins struct {
	Logins []Login `json:"logins"`
	Next   string  `json:"next,omitempty" doc:"Cursor of the next page; absent: there is none"`
}

// LoginFilter chooses logins. The zero LoginFilter means all.
type LoginFilter struct {
	Tenant  string // slug
	Service bool   // service logins only
	Text    string // part of the name
}

// Rotation is how a login's password is replaced.
type Rotation struct {
	OverlapSeconds int64 `json:"overlapSeconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the passwords before still work; 0: not at all"`
}

// Tenancies are tenants to grant or to take back.
type Tenancies struct {
	Tenants []string `json:"tenants" minItems:"1" maxItems:"1000" doc:"Slugs, or all"`
}
