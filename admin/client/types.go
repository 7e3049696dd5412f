package client

import "time"

// NewTenant is what creating a tenant takes. Zero values leave the choice to
// the plan or the server.
type NewTenant struct {
	Slug       string `json:"slug" doc:"Name of the tenant in URLs and connection strings" example:"pt-media-nusa"`
	Name       string `json:"name,omitempty" doc:"The company's name; default: the slug" example:"PT Media Nusa"`
	Plan       string `json:"plan,omitempty" doc:"STARTER, BUSINESS or ENTERPRISE; default: STARTER" example:"STARTER"`
	PoolSize   int    `json:"poolSize,omitempty" minimum:"0" doc:"Server connections that the tenant's clients share; 0: the plan's"`
	PoolMode   string `json:"poolMode,omitempty" doc:"auto, transaction, statement or session; empty: the broker's default"`
	MaxClients int    `json:"maxClients,omitempty" minimum:"0" doc:"Clients at the same time; 0: the plan's"`

	// IdempotencyKey makes a second call with the same key and values return
	// what the first one did. It travels as a header.
	IdempotencyKey string `json:"-"`
}

// Created is a new tenant with its connection URL, which holds the password and
// is shown this once.
type Created struct {
	Slug   string `json:"slug"`
	Status string `json:"status" example:"ACTIVE"`
	URL    string `json:"url" doc:"Connection URL with the login's password; nobody can show it again"`
}

// TenantChange is a tenant's plan and limits. What is absent stays as it is; in
// JSON, null means zero.
type TenantChange struct {
	Plan        string  `json:"plan,omitempty" doc:"STARTER, BUSINESS or ENTERPRISE"`
	PoolSize    *int    `json:"poolSize,omitempty" minimum:"0" doc:"Server connections; 0: the plan's again"`
	MinPoolSize *int    `json:"minPoolSize,omitempty" minimum:"0" doc:"Server connections kept open; 0: none"`
	PoolMode    *string `json:"poolMode,omitempty" doc:"auto, transaction, statement or session; empty: the broker's default again"`
	MaxClients  *int    `json:"maxClients,omitempty" minimum:"0" doc:"Clients at the same time; 0: the plan's again"`
	// Settings have the names of the broker's, such as query_timeout.
	Settings map[string]string `json:"settings,omitempty" doc:"Settings that differ from the broker's: query_timeout, query_wait_timeout, query_wait_notify, idle_transaction_timeout, transaction_timeout, client_idle_timeout, pin_idle_timeout (a duration such as 90s, or off), max_pinned, transaction_state (clean or refuse); empty: the broker's again"`
}

// Tenant is what the registry knows of a tenant.
type Tenant struct {
	ID            string            `json:"id" format:"uuid"`
	Slug          string            `json:"slug"`
	Name          string            `json:"name"`
	Plan          string            `json:"plan"`
	Status        string            `json:"status" enum:"PROVISIONING,MIGRATING,ACTIVE,SUSPENDED,DELETED"`
	StatusReason  string            `json:"statusReason,omitempty" doc:"Why it is suspended"`
	Server        string            `json:"server" doc:"Server that holds its database"`
	Database      string            `json:"database"`
	PoolSize      int               `json:"poolSize,omitempty" doc:"0 or absent: the plan's"`
	MinPoolSize   int               `json:"minPoolSize,omitempty" doc:"0 or absent: none"`
	PoolMode      string            `json:"poolMode,omitempty" doc:"Absent: the broker's default"`
	MaxClients    int               `json:"maxClients,omitempty" doc:"0 or absent: the plan's"`
	Settings      map[string]string `json:"settings,omitempty" doc:"Settings that differ from the broker's, by name"`
	SchemaVersion int64             `json:"schemaVersion" doc:"Newest journal migration that was applied; 0: none"`
	CreatedAt     time.Time         `json:"createdAt"`
	UpdatedAt     time.Time         `json:"updatedAt"`
	DeletedAt     *time.Time        `json:"deletedAt,omitempty"`
	PurgeAfter    *time.Time        `json:"purgeAfter,omitempty" doc:"Until then a deleted tenant can be restored"`
}

// Tenants is a page of tenants, by slug.
type Tenants struct {
	Tenants []Tenant `json:"tenants"`
	Next    string   `json:"next,omitempty" doc:"Cursor of the next page; absent: there is none"`
}

// TenantFilter chooses tenants. The zero TenantFilter means all but the deleted.
type TenantFilter struct {
	Status, Plan, Server string
	Text                 string // part of the slug or the name
}

// Reason is why a tenant's status is changed.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"For the activities and, of a suspension, for its clients"`
}

// Deletion is how a tenant is deleted.
type Deletion struct {
	Reason       string `json:"reason,omitempty" maxLength:"500" doc:"For the activities"`
	GraceSeconds int64  `json:"graceSeconds,omitempty" minimum:"0" doc:"How long it can be restored; 0: seven days"`
}

// Moved is a tenant after a change of its status, with where that has happened.
type Moved struct {
	Tenant    Tenant     `json:"tenant"`
	Instances []Instance `json:"instances" doc:"The brokers, and whether the change has happened there"`
	Fence     Fence      `json:"fence" doc:"What PostgreSQL itself does about it"`
}

// Instance is a broker that was told of a change.
type Instance struct {
	ID           string `json:"id"`
	PeerAddress  string `json:"peerAddress,omitempty"`
	Live         bool   `json:"live" doc:"It was heard from in the last two seconds"`
	Acknowledged bool   `json:"acknowledged" doc:"The change has happened there"`
}

// Fence is the state of a tenant's database at its server.
type Fence struct {
	Closed        bool   `json:"closed" doc:"PostgreSQL lets nobody into the database"`
	SessionsEnded int    `json:"sessionsEnded" doc:"Sessions that were left when it was closed"`
	Error         string `json:"error,omitempty" doc:"Why the server is not as it should be; the same request again tries again"`
}

// Activity is one line of the append-only log.
type Activity struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Tenant  string    `json:"tenant,omitempty" doc:"Slug of the tenant it is about"`
	Server  string    `json:"server,omitempty" doc:"Name of the server it is about"`
	Actor   string    `json:"actor" doc:"Who did it"`
	Action  string    `json:"action" example:"provision.database"`
	Outcome string    `json:"outcome" enum:"ok,failed,denied"`
	Message string    `json:"message,omitempty"`
}

// Activities is a page of the log, newest first.
type Activities struct {
	Activities []Activity `json:"activities"`
	Next       string     `json:"next,omitempty" doc:"Cursor of the next page; absent: there is none"`
}

// Server is a PostgreSQL server that holds tenants' databases.
type Server struct {
	Name             string `json:"name"`
	Host             string `json:"host"`
	Port             int    `json:"port"`
	SSLMode          string `json:"sslMode"`
	State            string `json:"state" enum:"active,draining,disabled"`
	ConnectionBudget int    `json:"connectionBudget" doc:"Connections that all brokers and tenants may use together"`
	Tenants          int    `json:"tenants" doc:"That live on it"`
	MaxTenants       int    `json:"maxTenants,omitempty" doc:"Absent: no limit"`
}

// Servers is the list of servers, by name.
type Servers struct {
	Servers []Server `json:"servers"`
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
