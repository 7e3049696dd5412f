package console

import (
	"context"
	"errors"
	"time"
)

// A Pooler is what the console shows and commands. Safe for concurrent use. A
// database is a tenant's slug; "" means all.
type Pooler interface {
	Pools(ctx context.Context) ([]Pool, error) // by database, then user; no pair twice
	Clients(ctx context.Context) ([]Client, error)
	Servers(ctx context.Context) ([]Server, error)
	Databases(ctx context.Context) ([]Database, error)
	Users(ctx context.Context) ([]User, error)
	Settings() []Setting // by name, no secrets
	Paused() bool        // all databases are
	LoginClients() int   // connections that have not proven who they are

	// Pause lets running transactions finish, makes new ones wait, and returns
	// when none runs and idle servers are closed. When ctx ends first the pause is
	// undone.
	Pause(ctx context.Context, database string) error
	// Resume undoes Pause and the pause of Kill.
	Resume(ctx context.Context, database string) error
	// Kill drops all clients and servers at once, and pauses.
	Kill(ctx context.Context, database string) error
	// KillClient ends a client, and reports whether there was one of this id.
	KillClient(ctx context.Context, id uint64) (bool, error)
	// Reconnect closes every server as soon as nobody uses it.
	Reconnect(ctx context.Context, database string) error
	// Reload reads again what can be read again while clients are served.
	Reload(ctx context.Context) error
}

// What a Pooler answers, besides errors that only the log can explain.
var (
	// ErrNoDatabase: there is no such database.
	ErrNoDatabase = errors.New("no such database")
	// ErrPaused: everything is paused already.
	ErrPaused = errors.New("already paused")
	// ErrNotPaused: there is no pause to undo.
	ErrNotPaused = errors.New("not paused")
	// ErrResumed: while Pause waited, somebody undid the pause.
	ErrResumed = errors.New("resumed meanwhile")
)

// A Pool is the servers of one database and role, and the clients that share them.
type Pool struct {
	Database, User                                string
	ClientsActive, ClientsWaiting                 int // active: not waiting for a server
	ServersActive, ServersIdle                    int
	ServersTested, ServersLogin, ServersCancelled int
	MaxWait                                       time.Duration // of who waits longest
	Mode                                          string
	Traffic                                       Traffic
}

// Traffic only grows.
type Traffic struct {
	Assignments, Transactions, Queries   uint64
	Received, Sent                       uint64 // bytes, from clients and from servers
	TransactionTime, QueryTime, WaitTime time.Duration
	ClientParses, ServerParses, Binds    uint64
	Logins                               uint64
}

func (t *Traffic) add(o Traffic) {
	t.Assignments += o.Assignments
	t.Transactions += o.Transactions
	t.Queries += o.Queries
	t.Received += o.Received
	t.Sent += o.Sent
	t.TransactionTime += o.TransactionTime
	t.QueryTime += o.QueryTime
	t.WaitTime += o.WaitTime
	t.ClientParses += o.ClientParses
	t.ServerParses += o.ServerParses
	t.Binds += o.Binds
	t.Logins += o.Logins
}

// A Client is one that has logged in.
type Client struct {
	ID             uint64
	User, Database string
	Replication    string // "": none
	State          string // active, idle or waiting
	Remote, Local  string // host:port
	Since, Request time.Time
	Wait           time.Duration // since it began to wait; 0: it does not
	Server         uint64        // paired with it; 0: none
	TLS            string        // "": none
	Application    string
	Statements     int       // prepared by name
	Pins           []string  // why its server stays with it
	Pinned, Quiet  time.Time // since when it does, and since when the client has sent nothing
}

// A Server is a connection to PostgreSQL.
type Server struct {
	ID             uint64
	User, Database string
	Replication    string
	State          string // active, idle, tested or being_canceled
	Remote, Local  string
	Since, Request time.Time
	Client         uint64 // paired with it; 0: none
	PID            int    // of PostgreSQL's process
	TLS            string
	Application    string
	Statements     int
	Closing        bool // when it is next free
}

// A Database is a tenant, as clients and PostgreSQL call it.
type Database struct {
	Name, Host            string
	Port                  int
	Database              string // at the server
	PoolSize, MinPoolSize int
	ServerLifetime        time.Duration
	Mode                  string // "": the default
	MaxServers, Servers   int    // 0: no limit of its own
	MaxClients, Clients   int
	Paused, Disabled      bool
}

// A User is a login that has clients.
type User struct {
	Name                string
	Mode                string
	MaxClients, Clients int
}

// A Setting is a line of SHOW CONFIG.
type Setting struct {
	Name, Value, Default string
	Reloads              bool // RELOAD reads it again
}
