package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/wire"
)

// Mode says for how long a server stays with its client.
type Mode uint8

const (
	// Auto gives the server back when a transaction has ended, and lets no client
	// lose its session's state: settings and prepared statements follow it, and
	// what cannot follow keeps the server for it.
	Auto Mode = iota
	// Transaction is like Auto, but state that cannot follow the client ends with
	// its transaction, or is refused (Target.Refuse).
	Transaction
	// Statement is like Transaction, and refuses transaction blocks.
	Statement
	// Session keeps the server until the client goes.
	Session
)

func (m Mode) String() string {
	return [...]string{"auto", "transaction", "statement", "session"}[m]
}

// Param is a run-time parameter's name and value.
type Param struct{ Name, Value string }

// BackendKey is what a CancelRequest must show. Secret has 4 bytes in protocol
// 3.0 and up to 256 from 3.2 on.
type BackendKey struct {
	PID    uint32
	Secret []byte
}

// Target is where the clients of one route go: the identity of a pool and the
// way to open a server for it. It is not changed after Add or Greeting.
type Target struct {
	// Key is all that makes two servers interchangeable: tenant, role, credential
	// generation, server, database.
	Key string
	// Tenant is the tenant's id. All its pools live on one loop and count once
	// against the number of open tenants.
	Tenant string
	// Greeting names what decides the parameters that a server greets with.
	Greeting             string
	Slug, Database, Role string // for people
	PoolSize             int    // most servers of this pool, at least 1
	MinPoolSize          int    // servers kept open while the tenant is
	Server               string // the PostgreSQL server: whose connections are shared out
	Budget               int    // connections that all tenants together may have there; 0: no limit
	Weight               int    // of the tenant where connections are short, at least 1
	QueueLength          int    // most clients that wait for a server of this pool; 0: no limit
	MaxPinned            int    // most servers that clients in mode Auto may keep; 0: all but one, at least 1
	Refuse               bool   // in modes Transaction and Statement, state that would have to be wiped is refused
	Times                Times  // how long its clients may take
	// Dial opens a server. It runs in a goroutine of its own, and ctx ends with
	// the relay. An error that has a method Fields() wire.Fields is passed on to
	// the clients that wait; one whose method Temporary() bool says true lets them
	// wait on, for as long as they may.
	Dial func(ctx context.Context) (*Server, error)
	// Cancel asks the server to cancel what key's session runs now, and returns
	// when the server has taken it (it closes the connection).
	Cancel func(ctx context.Context, key BackendKey) error
}

// Pinnable is how many of the pool's servers its clients may keep.
func (t *Target) Pinnable() int {
	if t.MaxPinned > 0 {
		return t.MaxPinned
	}
	return max(t.PoolSize-1, 1)
}

// Times bounds what a client does; 0 is no bound.
type Times struct {
	Query           time.Duration // one query, from its message to the end of its answer
	QueryWait       time.Duration // for a server; 0: Config.QueryWait
	WaitNotify      time.Duration // a client that waits for longer is told so by a notice
	IdleTransaction time.Duration // between two messages of a transaction
	Transaction     time.Duration // from a transaction's first message to its end
	ClientIdle      time.Duration // outside a transaction
	PinIdle         time.Duration // outside a transaction, with a server that others wait for
}

// Server is a server connection at its first ReadyForQuery, with nothing read
// beyond it.
type Server struct {
	Conn   net.Conn // *net.TCPConn or *poll.TLS
	Params []Param  // as reported during login
	Key    BackendKey
}

// Client is an authenticated client that has been sent everything up to its
// first ReadyForQuery, with nothing read beyond what was answered.
type Client struct {
	Conn   net.Conn // *net.TCPConn or *poll.TLS
	Target *Target
	Mode   Mode
	Login  string  // whose it is, as EndLogin names it
	Told   []Param // parameter values that it was told
	Own    []Param // … those among them that it chose itself, in its startup packet
	Set    []Param // settings of its startup packet that no server reports
	Ended  func()  // called once, from the loop, when it is gone; must not block
	Once   bool    // its server is closed with it: a replication connection

	// For people only:
	ID    uint64 // the connection's number, as it is logged
	Name  string // of its login
	Since time.Time
}

// Refusal is a reason of the relay's own to end a client.
type Refusal uint8

const (
	// QueryWait: no server became free within QueryWait.
	QueryWait Refusal = iota
	// NoPlace: the tenant got no place among the open ones within QueryWait.
	NoPlace
	// ServerLost: the server connection ended while the client was using it.
	ServerLost
	// DialFailed: no server could be opened, and the error has no fields.
	DialFailed
	// ShuttingDown: the relay drains.
	ShuttingDown
	// Malformed: the client sent bytes that are no message.
	Malformed
	// HeldTooLong: the tenant's transactions were held for longer than HoldWait.
	HeldTooLong
	// QueueFull: as many clients as may already wait for a server.
	QueueFull
	// TooManyPinned: the client would keep a server, and Target.MaxPinned do.
	TooManyPinned
	// PinIdle: it kept a server that others waited for, for longer than
	// Times.PinIdle.
	PinIdle
	// QueryTimeout, IdleTransaction, TransactionTimeout, ClientIdle: it took longer
	// than Times allows.
	QueryTimeout
	IdleTransaction
	TransactionTimeout
	ClientIdle
	// StateRefused: its text would leave state in the session (Target.Refuse).
	StateRefused
	// BlockRefused: a transaction block in mode Statement.
	BlockRefused
	// ForeignSequence: it asks for a sequence's value that may be another client's.
	ForeignSequence
	// LongStatement: it would prepare a statement that is too long to be remembered,
	// in modes Transaction and Statement.
	LongStatement
	// Waiting is a notice: it has waited for a server for Times.WaitNotify.
	Waiting
)

// Limits decides which tenants may have servers at the same time, and how many
// connections a PostgreSQL server is asked for. Safe for concurrent use; asked
// only when a tenant or a server opens or has closed, or when somebody waits.
type Limits interface {
	// Take asks for a place among the open tenants. Tenant.Granted is the answer,
	// now or later.
	Take(t *Tenant)
	// Give returns t's place, or withdraws what it asked for.
	Give(t *Tenant)
	// Open asks for one more connection of p's server. Pool.Granted is the answer,
	// now or later.
	Open(p *Pool)
	// Close returns one that was granted: it has ended, or was not made.
	Close(p *Pool)
	// Closing is Close for a connection that PostgreSQL has still to end; closed is
	// called when it has, from any goroutine.
	Closing(p *Pool) (closed func())
	// Pressed is true while a tenant or a pool waits. It is read at every release.
	Pressed() *atomic.Bool
	// Yield is asked at a release while Pressed: whether the server, of that age,
	// or all of its tenant's are to be closed for somebody else's sake.
	Yield(p *Pool, age time.Duration) Verdict
	// Stays says that t, told to close, could not within a second and goes on.
	Stays(t *Tenant)
	// Retry is called now and then while somebody waits.
	Retry()
}

// Verdict is the answer of Limits.Yield.
type Verdict uint8

const (
	Keep        Verdict = iota // the server stays with its pool
	CloseServer                // somebody else's turn for a connection
	CloseTenant                // somebody else's turn for a place
)

// Config of a Relay. All fields are needed.
type Config struct {
	Loops          int           // threads that relay, at least 1
	QueryWait      time.Duration // longest wait for a server
	HoldWait       time.Duration // longest wait of a transaction that Hold does not let begin
	MaxStatements  int           // most prepared statements that one server keeps, at least 1
	LoginRetry     time.Duration // no dial sooner after one that failed
	CancelWait     time.Duration // a cancel request upstream takes no longer
	ServerCheck    time.Duration // a server unused for so long is asked whether it lives; 0: never
	ServerIdle     time.Duration // a server unused for so long is closed
	ServerLifetime time.Duration // a server older than this is not used again
	TTL            time.Duration // a tenant unused for so long gives its place back
	Limits         Limits
	// Explain gives the words and the SQLSTATE of a refusal; about is what the
	// words are about: who keeps a pool's servers, or which state is refused.
	Explain func(why Refusal, t *Target, about string) wire.Fields
	Log     *slog.Logger
}

// Relay owns the loops. Its methods are safe for concurrent use.
type Relay struct {
	cfg    Config
	loops  []*loop
	ctx    context.Context // ends the dials under way
	cancel context.CancelFunc

	burials sync.WaitGroup // of servers' connections
	servers atomic.Uint64  // id of the newest

	mu        sync.Mutex
	tenants   map[string]*Tenant // never forgotten: their counters survive
	greetings map[string][]Param
}

// ErrStopped is returned for whatever comes after Stop.
var ErrStopped = errors.New("relay has stopped")

// Start starts the loops.
func Start(cfg Config) (*Relay, error) {
	r := &Relay{cfg: cfg, tenants: map[string]*Tenant{}, greetings: map[string][]Param{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for range cfg.Loops {
		l, err := newLoop(r)
		if err != nil {
			_ = r.Stop(r.ctx)
			return nil, fmt.Errorf("start loop: %w", err)
		}
		r.loops = append(r.loops, l)
		go l.run()
	}
	return r, nil
}

// Stop drains: idle clients are told and closed, those in a transaction when it
// ends, and whoever is left when ctx ends. It returns when all loops are gone,
// and may be called twice.
func (r *Relay) Stop(ctx context.Context) error {
	for _, l := range r.loops {
		l.box.post(func(l *loop) { l.drain() })
	}
	var err error
	for _, l := range r.loops {
		select {
		case <-l.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
			l.box.post(func(l *loop) { l.quit() })
			<-l.done
		}
	}
	r.cancel()
	r.burials.Wait()
	return err
}

// Handle names a client that was added, also after it has gone.
type Handle struct {
	loop *loop
	at   *poll.Token // the loop's
}

// Add hands c over to the loop of its tenant. The connection is the relay's in
// every case, and Ended is called in every case but an error.
func (r *Relay) Add(c Client) (Handle, error) {
	sock, err := adopt(c.Conn)
	if err != nil {
		return Handle{}, fmt.Errorf("add client: %w", err)
	}
	t := r.tenant(c.Target)
	h := Handle{loop: t.loop, at: new(poll.Token)}
	if !t.loop.box.post(func(l *loop) { *h.at = l.add(t, c, sock) }) {
		sock.shut()
		return Handle{}, ErrStopped
	}
	return h, nil
}

// Cancel cancels what the client runs now, if it runs anything. It returns when
// PostgreSQL has taken the request or there was nothing to cancel, or when ctx
// ends: what the client sends after that is not hit.
func (h Handle) Cancel(ctx context.Context) {
	taken := make(chan struct{})
	if !h.loop.box.post(func(l *loop) {
		if c := l.find(*h.at); c != nil && c.asClient != nil {
			l.cancel(c.asClient, func() { close(taken) })
			return
		}
		close(taken)
	}) {
		return
	}
	select {
	case <-taken:
	case <-ctx.Done():
	case <-h.loop.done:
	}
}

// Greeting returns the parameters that a server of t greets with. They are
// remembered by t.Greeting, so a login needs no server; the first one opens one.
func (r *Relay) Greeting(ctx context.Context, t *Target) ([]Param, error) {
	r.mu.Lock()
	known := r.greetings[t.Greeting]
	r.mu.Unlock()
	if known == nil {
		got := make(chan greeted, 1)
		tenant := r.tenant(t)
		if !tenant.loop.box.post(func(l *loop) { l.greet(tenant, t, got) }) {
			return nil, ErrStopped
		}
		select {
		case g := <-got:
			if g.err != nil {
				return nil, g.err
			}
			known = g.params
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tenant.loop.done:
			return nil, ErrStopped
		}
	}
	out := slices.Clone(known)
	for i := range out {
		if out[i].Name == "session_authorization" {
			out[i].Value = t.Role
		}
	}
	return out, nil
}

type greeted struct {
	params []Param
	err    error
}

// remember keeps what a server of t greeted with.
func (r *Relay) remember(t *Target, params []Param) {
	r.mu.Lock()
	r.greetings[t.Greeting] = params
	r.mu.Unlock()
}

// tenant finds t's tenant, or gives it to the loop with the fewest.
func (r *Relay) tenant(t *Target) *Tenant {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have, ok := r.tenants[t.Tenant]; ok {
		return have
	}
	home := slices.MinFunc(r.loops, func(a, b *loop) int { return a.tenants - b.tenants })
	home.tenants++
	made := &Tenant{ID: t.Tenant, Slug: t.Slug, loop: home, pools: map[string]*Pool{}}
	r.tenants[t.Tenant] = made
	return made
}

// all returns every tenant that had a client since Start.
func (r *Relay) all() []*Tenant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.tenants))
}

// Threads is what GOMAXPROCS should be for so many loops: one for each, which it
// keeps while it waits in its poller, and one for each CPU. Without a spare one
// the scheduler takes a waiting loop's away all the time and looks for such
// chances every 20 µs: with one client that cost 33 to 42 µs of CPU per
// transaction instead of 19 (2 CPUs, 1 loop, pgbench, 3 s each).
func Threads(loops int) int { return loops + runtime.NumCPU() }
