package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/console"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// ErrStopped is returned by what is asked of a Broker after Shutdown.
var ErrStopped = errors.New("broker has stopped")

// A directory says who logins are and where they go, and what has become of
// them. It is *registry.Registry, whose methods are described there.
type directory interface {
	Lookup(ctx context.Context, slug, login string) (registry.Entry, error)
	LookupFresh(ctx context.Context, slug, login string) (registry.Entry, error)
	OnChange(f func(registry.Change))
	TenantStates(ctx context.Context, ids []string) (map[string]registry.TenantState, error)
	Acknowledge(change int64)
	Stats() registry.Stats

	Self() (registry.Instance, bool)
	Instances(ctx context.Context) ([]registry.Instance, error)
	SetDraining(ctx context.Context, draining bool) error
	SetPeerAddress(ctx context.Context, address string) error
	Shares(ctx context.Context, used func(serverID int64) int, set func(serverID int64, connections int)) error
}

// A Broker serves clients from New to Shutdown. Safe for concurrent use.
type Broker struct {
	cfg   Config
	log   *slog.Logger
	reg   directory
	tls   *tls.Config // nil: not offered
	relay *relay.Relay

	dialer     *dialer
	upstreams  *upstreams
	watch      *watcher
	cancels    *cancels
	peers      *peer.Client // nil: without keys
	neighbours neighbours
	keys       *keyring
	census     *census
	changes    changes
	counters   counters
	limits     *limits
	console    *console.Console
	pauses     *pauses
	visited    visited
	mockSecret []byte
	places     chan struct{} // one for each connection that has not proven who it is
	computing  gate

	draining atomic.Bool

	mu       sync.Mutex
	stopping context.Context // done: nothing new begins
	stop     context.CancelFunc
	running  sync.WaitGroup // Serves and ceremonies

	born     time.Time
	prefix   string          // of connection ids
	life     context.Context // ends when the last client has gone
	end      context.CancelFunc
	watching sync.WaitGroup // the watcher
	peering  sync.WaitGroup // ServePeers
	visiting sync.WaitGroup // the console's clients
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
		cancels:    newCancels(), neighbours: neighbours{ask: reg.Instances},
		born: time.Now(), prefix: connPrefix(),
	}
	if cfg.TLS != nil {
		b.tls = serverTLS(cfg.TLS)
	}
	if cfg.Keys != nil {
		b.mockSecret = cfg.Keys.Derive("broker: salts of unknown logins")
		var err error
		if b.peers, err = peer.NewClient(cfg.Keys); err != nil {
			return nil, err
		}
	} else {
		_, _ = rand.Read(b.mockSecret)
	}
	b.dialer = &dialer{timeout: cfg.ServerConnectTimeout, untaken: cfg.TCPUserTimeout, computing: b.computing, keys: newKeyCache()}
	b.pauses = newPauses()
	b.console = console.New(console.Config{Pooler: lookout{b}, Version: cfg.Version, MaxVisits: maxVisits, Report: b.consoleReport})
	b.upstreams, b.watch = newUpstreams(cfg), newWatcher(b)
	b.stopping, b.stop = context.WithCancel(context.Background())
	b.life, b.end = context.WithCancel(context.Background())
	var err error
	b.relay, err = relay.Start(relay.Config{
		Loops: cfg.Loops, QueryWait: cfg.QueryWaitTimeout,
		ServerIdle: cfg.ServerIdleTimeout, ServerLifetime: cfg.ServerLifetime, TTL: cfg.ConnectionTTL,
		Limits: b.limits, HoldWait: cfg.MigrationWait, LoginRetry: restartRetry, MaxStatements: cfg.MaxPreparedStatements,
		CancelWait: cfg.CancelWaitTimeout, ServerCheck: max(cfg.ServerCheckDelay, 0), Explain: b.explain, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	b.warnFiles()
	b.share()
	reg.OnChange(b.watch.note)
	b.watching.Go(func() { b.watch.run(b.life) })
	b.watching.Go(func() { b.console.Run(b.life) })
	return b, nil
}

// connPrefix tells the connections of one process from those of another in the
// logs of both.
func connPrefix() string {
	var b [3]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// restartRetry is how often a server that restarts is asked whether it has.
const restartRetry = 500 * time.Millisecond

// warnFiles says that max_client_conn promises more than the system allows.
func (b *Broker) warnFiles() {
	have, want := files(), uint64(b.cfg.MaxClients+spareFiles)
	if have > 0 && have < want {
		b.log.Warn(eventFiles, keyHave, have, keyWant, want)
	}
}

// spareFiles are the descriptors of servers, listeners and the registry.
const spareFiles = 500

// enter counts one more in, unless the broker is stopping.
func (b *Broker) enter(who *sync.WaitGroup) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopping.Err() != nil {
		return false
	}
	who.Add(1)
	return true
}

// Drain makes Ready false and tells the other instances, and does no more:
// whoever sends clients here has time to notice before Shutdown. Safe to call
// more than once.
func (b *Broker) Drain(ctx context.Context) {
	if b.draining.Swap(true) {
		return
	}
	b.log.Info(eventDrain, keyClients, b.counters.connections.Load())
	if _, ok := b.reg.Self(); !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := b.reg.SetDraining(ctx, true); err != nil {
		b.log.Warn(eventDrain, keyError, err)
	}
}

// Ready reports whether new clients should be sent here.
func (b *Broker) Ready() bool { return !b.draining.Load() && b.stopping.Err() == nil }

// Shutdown stops accepting, refuses the connections whose ceremony is under way,
// lets running transactions finish and closes everything; what is left when ctx
// ends is closed at once, and ctx's cause returned. When it returns no goroutine
// of the broker is left. Safe to call twice.
func (b *Broker) Shutdown(ctx context.Context) error {
	began := time.Now()
	b.Drain(ctx)
	b.mu.Lock()
	b.stop()
	b.mu.Unlock()
	b.running.Wait() // bounded: the ceremonies' connections are interrupted
	err := b.relay.Stop(ctx)
	b.end() // until now statuses were heeded and peers answered
	b.watching.Wait()
	b.peering.Wait()
	b.visiting.Wait() // whoever looks after a drain saw it to its end
	if b.peers != nil {
		b.peers.Close()
	}
	if err != nil {
		b.log.Warn(eventDrained, keyTook, time.Since(began), keyError, err) // some were cut off
		return err
	}
	b.log.Info(eventDrained, keyTook, time.Since(began))
	return nil
}
