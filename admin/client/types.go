package client

import "time"

// NewTenant is what creating a tenant takes. Zero values leave the choice to
// the plan or the server.
type NewTenant struct {
	Slug       string `json:"slug" doc:"Name of the tenant in URLs and connection strings" example:"pt-media-nusa"`
	Name       string `json:"name,omitempty" doc:"The company's name; default: the slug" example:"PT Media Nusa"`
	Plan       string `json:"plan,omitempty" doc:"STARTER, BUSINESS or ENTERPRISE; default: STARTER" example:"STARTER"`
	PoolSize   int    `json:"poolSize,omitempty" minimum:"0" doc:"Server connections that the tenant's clients share; 0: the plan's"`
	PoolMode   string `json:"poolMode,omitempty" doc:"transaction or session; empty: the broker's default"`
	MaxClients int    `json:"maxClients,omitempty" minimum:"0" doc:"Clients at the same time; 0: the plan's"`
}

// Created is a new tenant with its connection URL, which holds the password and
// is shown this once.
type Created struct {
	Slug   string `json:"slug"`
	Status string `json:"status" example:"ACTIVE"`
	URL    string `json:"url" doc:"Connection URL with the login's password; nobody can show it again"`
}

// Tenant is what the registry knows of a tenant.
type Tenant struct {
	ID            string    `json:"id" format:"uuid"`
	Slug          string    `json:"slug"`
	Name          string    `json:"name"`
	Plan          string    `json:"plan"`
	Status        string    `json:"status" enum:"PROVISIONING,MIGRATING,ACTIVE,SUSPENDED,DELETED"`
	StatusReason  string    `json:"statusReason,omitempty" doc:"Why it is suspended"`
	Server        string    `json:"server" doc:"Server that holds its database"`
	Database      string    `json:"database"`
	PoolSize      int       `json:"poolSize,omitempty" doc:"0 or absent: the plan's"`
	PoolMode      string    `json:"poolMode,omitempty" doc:"Absent: the broker's default"`
	MaxClients    int       `json:"maxClients,omitempty" doc:"0 or absent: the plan's"`
	SchemaVersion int64     `json:"schemaVersion" doc:"Newest journal migration that was applied; 0: none"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
}

// Tenants is a list of tenants, by slug.
type Tenants struct {
	Tenants []Tenant `json:"tenants"`
}

// Activity is one line of the append-only log.
type Activity struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor" doc:"Who did it"`
	Action  string    `json:"action" example:"provision.database"`
	Outcome string    `json:"outcome" enum:"ok,failed,denied"`
	Message string    `json:"message,omitempty"`
}

// Activities is a tenant's log, newest first.
type Activities struct {
	Activities []Activity `json:"activities"`
}

// Stats is what the broker of the answering process does now.
type Stats struct {
	ActiveConnections int           `json:"activeConnections" doc:"Tenants with open pools"`
	MaxConnections    int           `json:"maxConnections" doc:"Tenants that may have open pools at the same time"`
	Tenants           []TenantStats `json:"tenants" doc:"Those with open pools, by slug"`
}

// TenantStats is one tenant's part of Stats.
type TenantStats struct {
	Slug         string `json:"slug"`
	Pools        int    `json:"pools" doc:"One for each role in use"`
	Clients      int    `json:"clients" doc:"Clients connected"`
	Waiting      int    `json:"waiting" doc:"Clients that wait for a server connection"`
	Servers      int    `json:"servers" doc:"Server connections"`
	IdleServers  int    `json:"idleServers"`
	Transactions int64  `json:"transactions" doc:"Since the broker started"`
}

// Problem is a refusal, as RFC 9457 describes it.
type Problem struct {
	Status int            `json:"status"`
	Title  string         `json:"title"`
	Detail string         `json:"detail,omitempty"`
	Errors []ProblemError `json:"errors,omitempty"`
}

// ProblemError is one of several faults of a request.
type ProblemError struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty"`
}
