package peer

import "time"

// Stats is an instance's broker at one moment.
type Stats struct {
	Instance       string            `json:"instance"` // id in the registry, "" when it has none
	StartedAt      time.Time         `json:"startedAt"`
	Ready          bool              `json:"ready"` // takes new clients
	Connections    int               `json:"connections"`
	MaxClients     int               `json:"maxClients"`     // max_client_conn: connections of clients, proven or not
	OpenTenants    int               `json:"openTenants"`    // that hold pools
	MaxConnections int               `json:"maxConnections"` // tenants that may
	HalfOpen       int               `json:"halfOpen"`       // connections that have not proven who they are
	Accepted       uint64            `json:"accepted"`       // connections since the start
	Refused        map[string]uint64 `json:"refused"`        // of these, by SQLSTATE
	Tenants        []Tenant          `json:"tenants"`        // that had a client since the start, by slug
	Servers        []Server          `json:"servers"`
}

// Tenant adds up the pools of one tenant. Counters grow from the start on.
type Tenant struct {
	ID           string        `json:"id"`
	Slug         string        `json:"slug"`
	Open         bool          `json:"open"` // holds one of MaxConnections places
	Held         bool          `json:"held"` // its new transactions wait for a migration
	Pools        int           `json:"pools"`
	Clients      int           `json:"clients"`
	Active       int           `json:"active"`  // servers with a client
	Waiting      int           `json:"waiting"` // clients without a server that want one
	Servers      int           `json:"servers"`
	IdleServers  int           `json:"idleServers"`
	Dialing      int           `json:"dialing"`
	PoolSize     int           `json:"poolSize"` // of all its pools
	Transactions uint64        `json:"transactions"`
	Queries      uint64        `json:"queries"`
	BytesIn      uint64        `json:"bytesIn"`
	BytesOut     uint64        `json:"bytesOut"`
	Waits        uint64        `json:"waits"`
	Evictions    uint64        `json:"evictions"`
	Waited       time.Duration `json:"waitedNs"`
	LongestWait  time.Duration `json:"longestWaitNs"` // of those who wait now
	LastUsed     time.Time     `json:"lastUsed"`
}

// Server is what this instance uses of one PostgreSQL server's connections.
type Server struct {
	ID      int64 `json:"id"`
	Used    int   `json:"used"`
	Share   int   `json:"share"`  // this instance's part of Budget
	Budget  int   `json:"budget"` // of all instances together; 0: no limit
	Waiting int   `json:"waiting"`
}

// Disconnect asks for the end of clients: between transactions at once, the
// others when theirs ends or Grace is over. They may connect again.
type Disconnect struct {
	Tenant string        `json:"tenant"` // its id; "": every tenant's
	Grace  time.Duration `json:"graceNs"`
}

// Disconnected is the answer.
type Disconnected struct {
	Clients int `json:"clients"` // that were there
}

// Cancel is a cancel request of a client of the instance that is asked.
type Cancel struct {
	PID    uint32 `json:"pid"`
	Secret []byte `json:"secret"`
}

// Cancelled is the answer.
type Cancelled struct {
	Known bool `json:"known"` // the key is a client's
}

// fault is the answer to what could not be done.
type fault struct {
	Error string `json:"error"`
}
