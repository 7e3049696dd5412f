package client

import "time"

// Stats is what the live brokers do now, all together and each.
type Stats struct {
	ActiveConnections int             `json:"activeConnections" doc:"Tenants with open pools, over all instances"`
	MaxConnections    int             `json:"maxConnections" doc:"Tenants that may have open pools at the same time, over all instances"`
	Clients           int             `json:"clients" doc:"Clients connected"`
	Servers           int             `json:"servers" doc:"Server connections"`
	Waiting           int             `json:"waiting" doc:"Clients that wait for a server connection"`
	Tenants           []TenantStats   `json:"tenants" doc:"Those with open pools or clients, by slug"`
	Instances         []InstanceStats `json:"instances" doc:"The brokers, oldest first"`
}

// TenantStats is one tenant's part of Stats. Counters grow from the start of each
// instance on.
type TenantStats struct {
	Slug          string  `json:"slug"`
	Pools         int     `json:"pools" doc:"One for each role in use, on each instance"`
	Clients       int     `json:"clients" doc:"Clients connected"`
	Active        int     `json:"active" doc:"Server connections that work for a client"`
	Waiting       int     `json:"waiting" doc:"Clients that wait for a server connection"`
	Servers       int     `json:"servers" doc:"Server connections"`
	IdleServers   int     `json:"idleServers"`
	PoolSize      int     `json:"poolSize" doc:"Server connections that there may be"`
	Held          bool    `json:"held,omitempty" doc:"New transactions wait for a migration"`
	Transactions  uint64  `json:"transactions"`
	Queries       uint64  `json:"queries"`
	BytesIn       uint64  `json:"bytesIn" doc:"From clients"`
	BytesOut      uint64  `json:"bytesOut" doc:"To clients"`
	Waits         uint64  `json:"waits" doc:"Times that a client waited for a server connection"`
	WaitedSeconds float64 `json:"waitedSeconds" doc:"All these waits together"`
	LongestWait   float64 `json:"longestWaitSeconds" doc:"Of those who wait now"`
	Evictions     uint64  `json:"evictions" doc:"Times that its pools were closed for another tenant, or unused"`
}

// InstanceStats is one broker's part of Stats.
type InstanceStats struct {
	ID                string        `json:"id"`
	PeerAddress       string        `json:"peerAddress,omitempty"`
	StartedAt         time.Time     `json:"startedAt"`
	HeartbeatAt       time.Time     `json:"heartbeatAt" doc:"When it was last heard from"`
	Live              bool          `json:"live" doc:"That was in the last two seconds"`
	Draining          bool          `json:"draining" doc:"It takes no new clients"`
	SeenChange        int64         `json:"seenChange" doc:"Newest change of the registry whose effects have happened there"`
	Error             string        `json:"error,omitempty" doc:"Why the figures below are missing"`
	Clients           int           `json:"clients"`
	MaxClients        int           `json:"maxClients"`
	ActiveConnections int           `json:"activeConnections"`
	MaxConnections    int           `json:"maxConnections"`
	Servers           []ServerShare `json:"servers" doc:"What it uses of each PostgreSQL server"`
}

// ServerShare is what an instance uses of a server's connections.
type ServerShare struct {
	Server  string `json:"server"`
	Used    int    `json:"used"`
	Share   int    `json:"share" doc:"What this instance may use now"`
	Budget  int    `json:"budget" doc:"What all instances may use together"`
	Waiting int    `json:"waiting" doc:"Clients that wait for one of them"`
}

// Disconnected says how many clients were told to go.
type Disconnected struct {
	Clients   int                    `json:"clients"`
	Instances []InstanceDisconnected `json:"instances"`
}

// InstanceDisconnected is one broker's part of Disconnected.
type InstanceDisconnected struct {
	ID      string `json:"id"`
	Clients int    `json:"clients"`
	Error   string `json:"error,omitempty" doc:"Why its clients may still be there"`
}

// Disconnection is how clients are told to go.
type Disconnection struct {
	GraceSeconds int64 `json:"graceSeconds,omitempty" minimum:"0" maximum:"300" doc:"How long running transactions may take to finish; 0: 10 seconds"`
}

// Ready is what a process says that takes new clients.
type Ready struct {
	Status string `json:"status"`
}
