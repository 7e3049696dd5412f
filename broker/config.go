package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

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
	// login nor client choose: one of registry.PoolModes.
	PoolMode string
	// TransactionState says what becomes of state that would outlive a transaction
	// in the modes transaction and statement, unless the tenant chooses: clean has
	// the server wiped before its next client, refuse answers 0A000.
	TransactionState string
	// MaxPinned bounds the servers of a pool that clients in mode auto may keep,
	// unless the tenant has a bound of its own. 0: all but one, at least one.
	MaxPinned int

	// MaxClients is max_client_conn: the connections of clients that there may be
	// at once, proven or not. One more is told so and closed. Each costs a
	// descriptor, and so does each server.
	MaxClients int
	// QueueLength bounds the clients that wait for a server of one pool; 0: only
	// QueryWaitTimeout does.
	QueueLength int

	// ClientLoginTimeout bounds the time from a connection to its accepted password.
	ClientLoginTimeout time.Duration
	// MaxHandshakes bounds the connections that have not proven who they are. When
	// so many are under way no further one is accepted.
	MaxHandshakes int
	// ServerConnectTimeout bounds a dial, with TLS and login.
	ServerConnectTimeout time.Duration
	// ServerCheckDelay: a server unused for so long is asked whether it lives before
	// a client gets it. Below zero: never.
	ServerCheckDelay time.Duration
	// CancelWaitTimeout bounds the passing on of a cancel request.
	CancelWaitTimeout time.Duration

	// What a client may take its time for, where its tenant has no bound of its own.
	// The plans' statement_timeout and idle_in_transaction_session_timeout are
	// PostgreSQL's, which a session can lift; these it cannot.

	// QueryWaitTimeout bounds a client's wait for a server.
	QueryWaitTimeout time.Duration
	// QueryWaitNotify: a client that waits for longer is told so by a notice. Below
	// zero: never.
	QueryWaitNotify time.Duration
	// QueryTimeout bounds a query; 0: nothing does.
	QueryTimeout time.Duration
	// IdleTransactionTimeout bounds the silence of a client within a transaction; 0:
	// nothing does.
	IdleTransactionTimeout time.Duration
	// TransactionTimeout bounds a transaction; 0: nothing does.
	TransactionTimeout time.Duration
	// ClientIdleTimeout bounds the silence of a client outside of transactions; 0:
	// nothing does.
	ClientIdleTimeout time.Duration
	// PinIdleTimeout bounds the silence of a client that keeps a server for which
	// others wait. Below zero: nothing does.
	PinIdleTimeout time.Duration

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
	// has not taken what was sent for so long: because it is gone, or because it
	// reads nothing, between which the kernel makes no difference here. Below zero:
	// the kernel's own rule, a quarter of an hour for who is gone.
	TCPUserTimeout time.Duration

	// Repair is called when a server does not accept the sealed password of a
	// route's role (28P01): somebody has changed it by hand. When it returns nil the
	// password is tried once more, for the clients that wait meanwhile. Never more
	// than one call at a time for a credential. Nil: nothing is repaired.
	Repair func(ctx context.Context, route *registry.Route) error

	// Reload is called by the console's RELOAD, for what can be read again while
	// clients are served: TLS's certificate, by its GetCertificate. Nil: nothing.
	Reload func(ctx context.Context) error

	// TellSettings has clients told dermaga.version, dermaga.pool_mode and
	// dermaga.tenant when they log in, as if they were parameters of PostgreSQL's.
	// A driver may choke on names that it does not know.
	TellSettings bool
	// Version is what dermaga.version says.
	Version string

	// MaxPreparedStatements is how many prepared statements of the protocol one
	// server connection keeps. One more closes the least recently used; whoever
	// needs it again has it prepared again.
	MaxPreparedStatements int

	// Loops are the threads that relay. More than the load needs cost CPU: each
	// wakes up for fewer events.
	Loops int

	// Log gets one line for an event. Nil: slog.Default().
	Log *slog.Logger
}

// Values of Config.TransactionState.
const (
	stateClean  = "clean"
	stateRefuse = "refuse"
)

// Defaults returns c with every zero replaced.
func (c Config) Defaults() Config {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&c.ConnectionTTL, 30*time.Minute)
	fill(&c.ClientLoginTimeout, 15*time.Second)
	fill(&c.ServerConnectTimeout, 15*time.Second)
	fill(&c.ServerCheckDelay, 30*time.Second)
	fill(&c.CancelWaitTimeout, 10*time.Second)
	fill(&c.QueryWaitTimeout, 2*time.Minute)
	fill(&c.QueryWaitNotify, 5*time.Second)
	fill(&c.PinIdleTimeout, time.Minute)
	fill(&c.ServerIdleTimeout, 10*time.Minute)
	fill(&c.ServerLifetime, time.Hour)
	fill(&c.ProvisionWait, 5*time.Second)
	fill(&c.MigrationWait, 30*time.Second)
	fill(&c.ServerLoginRetry, 15*time.Second)
	fill(&c.SuspendGrace, 10*time.Second)
	fill(&c.TCPUserTimeout, 5*time.Minute)
	if c.MaxConnections == 0 {
		c.MaxConnections = 50
	}
	if c.MaxClients == 0 {
		c.MaxClients = 10_000
	}
	if c.MaxHandshakes == 0 {
		c.MaxHandshakes = 1000
	}
	if c.MaxPreparedStatements == 0 {
		c.MaxPreparedStatements = 200
	}
	if c.PoolMode == "" {
		c.PoolMode = registry.PoolModes[0]
	}
	if c.TransactionState == "" {
		c.TransactionState = stateClean
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
		{"ClientLoginTimeout", c.ClientLoginTimeout},
		{"CancelWaitTimeout", c.CancelWaitTimeout},
		{"ServerConnectTimeout", c.ServerConnectTimeout},
		{"QueryWaitTimeout", c.QueryWaitTimeout},
		{"ServerIdleTimeout", c.ServerIdleTimeout},
		{"ServerLifetime", c.ServerLifetime},
		{"ProvisionWait", c.ProvisionWait},
		{"MigrationWait", c.MigrationWait},
		{"ServerLoginRetry", c.ServerLoginRetry},
		{"SuspendGrace", c.SuspendGrace},
	} {
		if d.value <= 0 {
			faults = append(faults, fmt.Errorf("%s is %s: want more than 0", d.name, d.value))
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"QueryTimeout", c.QueryTimeout},
		{"IdleTransactionTimeout", c.IdleTransactionTimeout},
		{"TransactionTimeout", c.TransactionTimeout},
		{"ClientIdleTimeout", c.ClientIdleTimeout},
	} {
		if d.value < 0 {
			faults = append(faults, fmt.Errorf("%s is %s: want 0, for no bound, or more", d.name, d.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"MaxConnections", c.MaxConnections}, {"MaxClients", c.MaxClients}, {"MaxHandshakes", c.MaxHandshakes}, {"MaxPreparedStatements", c.MaxPreparedStatements}, {"Loops", c.Loops}} {
		if n.value < 1 {
			faults = append(faults, fmt.Errorf("%s is %d: want at least 1", n.name, n.value))
		}
	}
	if c.QueueLength < 0 {
		faults = append(faults, fmt.Errorf("QueueLength is %d: want 0, for no limit, or more", c.QueueLength))
	}
	if c.MaxPinned < 0 {
		faults = append(faults, fmt.Errorf("MaxPinned is %d: want 0, for all servers of a pool but one, or more", c.MaxPinned))
	}
	if !slices.Contains(registry.PoolModes, c.PoolMode) {
		faults = append(faults, fmt.Errorf("PoolMode is %q: want one of %s", c.PoolMode, strings.Join(registry.PoolModes, ", ")))
	}
	if c.TransactionState != stateClean && c.TransactionState != stateRefuse {
		faults = append(faults, fmt.Errorf("TransactionState is %q: want %s or %s", c.TransactionState, stateClean, stateRefuse))
	}
	if c.RequireTLS && c.TLS == nil {
		faults = append(faults, errors.New("RequireTLS without a certificate: nobody could connect"))
	}
	return errors.Join(faults...)
}
