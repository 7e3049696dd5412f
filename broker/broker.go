package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry"
)

// Config says how a Broker serves. Defaults fills in what is zero.
type Config struct {
	// TLS has the certificate that clients are shown. Nil: TLS is not offered,
	// and a client that insists on it goes away.
	TLS *tls.Config
	// RequireTLS refuses clients that do not ask for TLS.
	RequireTLS bool

	// Keys derive the secret from which unknown logins get their salts. Nil: a
	// random one, so that after a restart, or at another instance, an unknown
	// login has another salt, which a login that exists never has.
	Keys *registry.Keys

	// MaxConnections is how many tenants may have open pools at the same time.
	// One more closes the pools of the least recently used.
	MaxConnections int
	// ConnectionTTL closes the pools of a tenant that nobody has used for so long.
	ConnectionTTL time.Duration
	// PoolMode says for how long a client keeps a server where neither tenant nor
	// login nor client choose: transaction or session.
	PoolMode string

	// MaxClients is max_client_conn: the connections of clients that there may be
	// at once, proven or not. One more is told so and closed. Each costs a
	// descriptor, and so does each server.
	MaxClients int
	// QueueLength bounds the clients that wait for a server of one pool; 0: only
	// QueryWaitTimeout does.
	QueueLength int

	// HandshakeTimeout bounds the time from a connection to its accepted password.
	HandshakeTimeout time.Duration
	// MaxHandshakes bounds the connections that have not proven who they are. When
	// so many are under way no further one is accepted.
	MaxHandshakes int
	// ServerConnectTimeout bounds a dial, with TLS and login.
	ServerConnectTimeout time.Duration
	// QueryWaitTimeout bounds a client's wait for a server.
	QueryWaitTimeout time.Duration
	// ServerIdleTimeout closes a server that nobody has used for so long.
	ServerIdleTimeout time.Duration
	// ServerLifetime closes a server of that age when it is next free.
	ServerLifetime time.Duration
	// ProvisionWait bounds the wait of a login for a tenant that is being made.
	ProvisionWait time.Duration
	// MigrationWait bounds the wait of a login for a tenant that is being migrated.
	MigrationWait time.Duration

	// ServerLoginRetry is server_login_retry: after a server let the broker not in
	// for a reason that does not pass by itself (no such database, a password that
	// is wrong), it is not asked again for so long, unless the registry changes.
	ServerLoginRetry time.Duration
	// SuspendGrace is how long a transaction may go on after its tenant was
	// suspended or deleted, or its login taken away. The admin side ends it at
	// PostgreSQL sooner, if it is told to.
	SuspendGrace time.Duration
	// TCPUserTimeout closes a connection, of a client or a server, whose other end
	// has not acknowledged what was sent for so long.
	TCPUserTimeout time.Duration

	// Repair is called when a server does not accept the sealed password of a
	// route's role (28P01): somebody has changed it by hand. When it returns nil the
	// password is tried once more, for the clients that wait meanwhile. Never more
	// than one call at a time for a credential. Nil: nothing is repaired.
	Repair func(ctx context.Context, route *registry.Route) error

	// Loops are the threads that relay. More than the load needs cost CPU: each
	// wakes up for fewer events.
	Loops int

	// Log gets one line for an event. Nil: slog.Default().
	Log *slog.Logger
}

// Defaults returns c with every zero replaced.
func (c Config) Defaults() Config {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&c.ConnectionTTL, 30*time.Minute)
	fill(&c.HandshakeTimeout, 15*time.Second)
	fill(&c.ServerConnectTimeout, 15*time.Second)
	fill(&c.QueryWaitTimeout, 2*time.Minute)
	fill(&c.ServerIdleTimeout, 10*time.Minute)
	fill(&c.ServerLifetime, time.Hour)
	fill(&c.ProvisionWait, 5*time.Second)
	fill(&c.MigrationWait, 30*time.Second)
	fill(&c.ServerLoginRetry, 15*time.Second)
	fill(&c.SuspendGrace, 10*time.Second)
	fill(&c.TCPUserTimeout, 2*time.Minute)
	if c.MaxConnections == 0 {
		c.MaxConnections = 50
	}
	if c.MaxClients == 0 {
		c.MaxClients = 10_000
	}
	if c.MaxHandshakes == 0 {
		c.MaxHandshakes = 1000
	}
	if c.PoolMode == "" {
		c.PoolMode = "transaction"
	}
	if c.Loops == 0 {
		c.Loops = max(1, runtime.NumCPU()/2)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Validate names every fault of c, with the value and what would be right.
func (c Config) Validate() error {
	var faults []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"ConnectionTTL", c.ConnectionTTL},
		{"HandshakeTimeout", c.HandshakeTimeout},
		{"ServerConnectTimeout", c.ServerConnectTimeout},
		{"QueryWaitTimeout", c.QueryWaitTimeout},
		{"ServerIdleTimeout", c.ServerIdleTimeout},
		{"ServerLifetime", c.ServerLifetime},
		{"ProvisionWait", c.ProvisionWait},
		{"MigrationWait", c.MigrationWait},
		{"ServerLoginRetry", c.ServerLoginRetry},
		{"SuspendGrace", c.SuspendGrace},
		{"TCPUserTimeout", c.TCPUserTimeout},
	} {
		if d.value <= 0 {
			faults = append(faults, fmt.Errorf("%s is %s: want more than 0", d.name, d.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"MaxConnections", c.MaxConnections}, {"MaxClients", c.MaxClients}, {"MaxHandshakes", c.MaxHandshakes}, {"Loops", c.Loops}} {
		if n.value < 1 {
			faults = append(faults, fmt.Errorf("%s is %d: want at least 1", n.name, n.value))
		}
	}
	if c.QueueLength < 0 {
		faults = append(faults, fmt.Errorf("QueueLength is %d: want 0, for no limit, or more", c.QueueLength))
	}
	if c.PoolMode != "transaction" && c.PoolMode != "session" {
		faults = append(faults, fmt.Errorf("PoolMode is %q: want transaction or session", c.PoolMode))
	}
	if c.RequireTLS && c.TLS == nil {
		faults = append(faults, errors.New("RequireTLS without a certificate: nobody could connect"))
	}
	return errors.Join(faults...)
}

// ErrStopped is returned by what is asked of a Broker after Shutdown.
var ErrStopped = errors.New("broker has stopped")

// A directory says who logins are and where they go. It is *registry.Registry.
type directory interface {
	Lookup(ctx context.Context, slug, login string) (registry.Entry, error)
	LookupFresh(ctx context.Context, slug, login string) (registry.Entry, error)
	OnChange(f func(registry.Change))
}

// A Broker serves clients from New to Shutdown. Safe for concurrent use.
type Broker struct {
	cfg   Config
	log   *slog.Logger
	reg   directory
	tls   *tls.Config // nil: not offered
	relay *relay.Relay

	dialer     *dialer
	keys       *keyring
	census     *census
	changes    changes
	counters   counters
	limits     *limits
	mockSecret []byte
	places     chan struct{} // one for each connection that has not proven who it is
	computing  gate

	draining atomic.Bool

	mu       sync.Mutex
	stopping context.Context // done: nothing new begins
	stop     context.CancelFunc
	running  sync.WaitGroup // Serves and ceremonies
}

// New starts a broker over reg, which must stay open until Shutdown has returned.
// Where GOMAXPROCS leaves the loops no processor of their own, it is raised.
func New(cfg Config, reg *registry.Registry) (*Broker, error) { return start(cfg, reg) }

func start(cfg Config, reg directory) (*Broker, error) {
	cfg = cfg.Defaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if want := relay.Threads(cfg.Loops); runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	b := &Broker{
		cfg: cfg, log: cfg.Log, reg: reg,
		keys: newKeyring(), census: newCensus(), limits: newLimits(cfg.MaxConnections),
		places: make(chan struct{}, cfg.MaxHandshakes),
		// The loops keep their processors whatever handshakes there are to compute.
		computing:  newGate(max(1, runtime.GOMAXPROCS(0)-cfg.Loops)),
		mockSecret: make([]byte, 32),
	}
	if cfg.TLS != nil {
		b.tls = serverTLS(cfg.TLS)
	}
	if cfg.Keys != nil {
		b.mockSecret = cfg.Keys.Derive("broker: salts of unknown logins")
	} else {
		_, _ = rand.Read(b.mockSecret)
	}
	b.dialer = &dialer{timeout: cfg.ServerConnectTimeout, computing: b.computing, keys: newKeyCache()}
	b.stopping, b.stop = context.WithCancel(context.Background())
	var err error
	b.relay, err = relay.Start(relay.Config{
		Loops: cfg.Loops, QueryWait: cfg.QueryWaitTimeout,
		ServerIdle: cfg.ServerIdleTimeout, ServerLifetime: cfg.ServerLifetime, TTL: cfg.ConnectionTTL,
		Limits: b.limits, HoldWait: cfg.MigrationWait, LoginRetry: time.Second, Explain: explain, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	reg.OnChange(func(registry.Change) { b.changes.announce() })
	return b, nil
}

// enter counts one more Serve in, unless the broker is stopping.
func (b *Broker) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopping.Err() != nil {
		return false
	}
	b.running.Add(1)
	return true
}

// Shutdown stops accepting, refuses the connections whose ceremony is under way,
// lets running transactions finish and closes everything; what is left when ctx
// ends is closed at once, and ctx's cause returned. When it returns no goroutine
// of the broker is left. Safe to call twice.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.mu.Lock()
	b.stop()
	b.mu.Unlock()
	b.running.Wait() // bounded: the ceremonies' connections are interrupted
	return b.relay.Stop(ctx)
}
