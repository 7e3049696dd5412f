package console

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The databases at which clients reach the console. They differ in what SHOW
// VERSION says only.
const (
	databaseOfDermaga   = "dermaga"
	databaseOfPgBouncer = "pgbouncer"
)

// likeVersion is the PgBouncer whose columns these are.
const likeVersion = "1.26.1"

// Names are the databases at which clients reach the console.
func Names() []string { return []string{databaseOfDermaga, databaseOfPgBouncer} }

// virtual reports whether a database is the console.
func virtual(database string) bool { return slices.Contains(Names(), database) }

// Greeting is what a client is told of when it logs in: names and values.
func Greeting() [][2]string {
	return [][2]string{
		{"server_version", likeVersion + "/bouncer"},
		{"client_encoding", "UTF8"},
		{"server_encoding", "UTF8"},
		{"DateStyle", "ISO"},
		{"TimeZone", "GMT"},
		{"standard_conforming_strings", "on"},
		{"is_superuser", "on"},
	}
}

// A Role is what a login may do here.
type Role uint8

const (
	// Nobody may not be here: its visit ends.
	Nobody Role = iota
	// Stats may SHOW.
	Stats
	// Admin may do everything.
	Admin
)

// Config says what a Console is the door to.
type Config struct {
	Pooler  Pooler
	Version string // Dermaga's
	// MaxVisits bounds the clients that may be here at once.
	MaxVisits int
	// Report is told of every command for which the role Admin is needed, with its
	// error if it failed, and of every SHOW that failed. Nil: nobody is told.
	Report func(who Visitor, command string, err error)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// A Console serves those who look after the pooler. Safe for concurrent use.
type Console struct {
	pooler  Pooler
	version string
	most    int
	report  func(Visitor, string, error)
	now     func() time.Time
	history history
	queries atomic.Uint64
	logins  atomic.Uint64

	mu     sync.Mutex
	visits map[uint64]*Visit
}

// New makes a console. For averages, Run has to run.
func New(cfg Config) *Console {
	c := &Console{
		pooler: cfg.Pooler, version: cfg.Version, most: cfg.MaxVisits, report: cfg.Report, now: cfg.Now,
		visits: map[uint64]*Visit{},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.report == nil {
		c.report = func(Visitor, string, error) {}
	}
	start := sample{at: c.now(), of: map[string]Traffic{}}
	c.history.keep(start)
	c.history.keep(start)
	return c
}

// A Visitor is a client that has proven who it is.
type Visitor struct {
	ID             uint64 // of its connection: KILL_CLIENT takes it
	Database, User string
	Remote, Local  string
	TLS            string // "": none
	Application    string
	// Role is asked before each command, since a right can be taken away.
	Role func(ctx context.Context) Role
}

// Admit lets v in, unless there are MaxVisits already; Serve or Leave has to
// follow.
func (c *Console) Admit(v Visitor) (*Visit, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.visits) >= c.most {
		return nil, false
	}
	visit := &Visit{Visitor: v, console: c, since: c.now(), statements: map[string]order{}, portals: map[string]*portal{}}
	visit.life, visit.end = context.WithCancelCause(context.Background())
	c.visits[v.ID] = visit
	c.logins.Add(1)
	return visit, true
}

func (c *Console) leave(v *Visit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.visits, v.ID)
}

// kill ends the visit of this id, and reports whether there is one.
func (c *Console) kill(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.visits[id]
	if ok {
		v.end(faultKilled)
	}
	return ok
}

// What the console says of itself.

func (c *Console) ownPool() Pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.queries.Load()
	return Pool{
		Database: databaseOfPgBouncer, User: databaseOfPgBouncer, ClientsActive: len(c.visits), Mode: "statement",
		Traffic: Traffic{Transactions: n, Queries: n, Logins: c.logins.Load()},
	}
}

func (c *Console) ownClients() (clients []Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.visits {
		clients = append(clients, v.client())
	}
	slices.SortFunc(clients, func(a, b Client) int { return cmp.Compare(a.ID, b.ID) })
	return clients
}

func (c *Console) ownDatabase() Database {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Database{
		Name: databaseOfPgBouncer, Database: databaseOfPgBouncer, PoolSize: 2, Mode: "statement",
		MaxClients: c.most, Clients: len(c.visits),
	}
}
