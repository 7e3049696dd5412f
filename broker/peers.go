package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// ServePeers answers other instances, and the admin side, on ln until ctx ends
// or the broker has stopped, and closes ln. Only who has the same Config.Keys is
// answered. Where the registry has no address of this instance yet, it is ln's.
func (b *Broker) ServePeers(ctx context.Context, ln net.Listener) error {
	if b.cfg.Keys == nil {
		_ = ln.Close()
		return errors.New("serve peers: Config.Keys is needed")
	}
	if !b.enter(&b.peering) {
		_ = ln.Close()
		return ErrStopped
	}
	defer b.peering.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)()
	if self, _ := b.reg.Self(); self.PeerAddress == "" {
		if err := b.reg.SetPeerAddress(ctx, ln.Addr().String()); err != nil {
			_ = ln.Close()
			return fmt.Errorf("serve peers: %w", err)
		}
	}
	return peer.Serve(ctx, ln, b.cfg.Keys, b, b.log)
}

// PeerStats implements peer.Served.
func (b *Broker) PeerStats(ctx context.Context) (peer.Stats, error) {
	now, err := b.Stats(ctx)
	if err != nil {
		return peer.Stats{}, err
	}
	self, _ := b.reg.Self()
	out := peer.Stats{
		Instance: self.ID, StartedAt: b.born, Ready: b.Ready(),
		Connections: now.Connections, MaxClients: b.cfg.MaxClients,
		OpenTenants: now.OpenTenants, MaxConnections: now.MaxConnections,
		HalfOpen: now.HalfOpen, Accepted: now.Accepted, Refused: now.Refused,
		Tenants: []peer.Tenant{}, Servers: now.Servers,
	}
	for _, p := range now.Pools { // sorted by slug
		last := len(out.Tenants) - 1
		if last < 0 || out.Tenants[last].ID != p.Tenant {
			out.Tenants = append(out.Tenants, peer.Tenant{ID: p.Tenant, Slug: p.Slug})
			last++
		}
		addPool(&out.Tenants[last], p)
	}
	return out, nil
}

func addPool(t *peer.Tenant, p relay.PoolStats) {
	t.Open = t.Open || p.Open
	t.Held = t.Held || p.Held
	t.Pools++
	t.Clients += p.Clients
	t.Active += p.Active
	t.Waiting += p.Waiting
	t.Servers += p.Servers
	t.IdleServers += p.Idle
	t.Dialing += p.Dialing
	t.PoolSize += p.PoolSize
	t.Transactions += p.Transaction.Count()
	t.Queries += p.Queries
	t.BytesIn += p.BytesIn
	t.BytesOut += p.BytesOut
	t.Waits += p.Wait.Count()
	t.Waited += p.Wait.Sum
	t.Evictions += p.EvictedIdle + p.EvictedTurn + p.EvictedTTL
	t.LongestWait = max(t.LongestWait, p.WaitingLongest)
	if p.LastUsed.After(t.LastUsed) {
		t.LastUsed = p.LastUsed
	}
}

// Disconnect implements peer.Served: the clients that a tenant has now, or all
// tenants have, end with their transactions or after d.Grace. It returns when
// they have.
func (b *Broker) Disconnect(ctx context.Context, d peer.Disconnect) (peer.Disconnected, error) {
	ids := b.census.tenantIDs()
	if d.Tenant != "" {
		ids = []string{d.Tenant}
	}
	var done peer.Disconnected
	var left sync.WaitGroup
	for _, id := range ids {
		n := b.census.clients(id)
		if n == 0 {
			continue
		}
		done.Clients += n
		left.Add(1)
		b.relay.End(id, errDisconnected.Fields(), d.Grace, true, left.Done)
	}
	b.log.Info(eventDisconnect, keyTenant, d.Tenant, keyClients, done.Clients)
	gone := make(chan struct{})
	go func() {
		left.Wait() // bounded by d.Grace
		close(gone)
	}()
	select {
	case <-gone:
		return done, nil
	case <-ctx.Done():
		return done, context.Cause(ctx)
	}
}

// CancelOwn implements peer.Served.
func (b *Broker) CancelOwn(ctx context.Context, c peer.Cancel) (peer.Cancelled, error) {
	return peer.Cancelled{Known: b.keys.cancel(ctx, c.PID, c.Secret)}, nil
}

// cancelPrefix is what this instance's keys begin with; 0: nothing.
func (b *Broker) cancelPrefix() int {
	self, _ := b.reg.Self()
	return self.CancelPrefix
}

// cancel passes on the cancel request of l: to one of our own clients, or to the
// instance whose key it is. One that fits nobody is dropped without a word, as
// PostgreSQL does, and counted against its sender.
func (b *Broker) cancel(l *line, pid uint32, secret []byte) {
	from := l.socket.RemoteAddr()
	b.counters.cancels.Add(1)
	if !b.cancels.may(from) {
		b.counters.wrongCancels.Add(1)
		b.log.Warn(eventCancels, keyConn, l.id, keyRemote, l.remote())
		return
	}
	ctx, stop := context.WithTimeout(b.life, b.cfg.CancelWaitTimeout)
	defer stop()
	if b.keys.cancel(ctx, pid, secret) || b.cancelForeign(l, pid, secret) {
		return
	}
	b.counters.wrongCancels.Add(1)
	b.cancels.wrong(from)
}

// foreignTimeout bounds the passing on of a cancel request.
const foreignTimeout = 2 * time.Second

// cancelForeign passes a request on to the instance that issued its key, and
// reports whether that knew it.
func (b *Broker) cancelForeign(l *line, pid uint32, secret []byte) bool {
	self, ok := b.reg.Self()
	prefix := prefixOf(pid)
	if !ok || b.peers == nil || prefix == 0 || prefix == self.CancelPrefix {
		return false
	}
	ctx, cancel := context.WithTimeout(b.life, foreignTimeout)
	defer cancel()
	instances, err := b.neighbours.all(ctx)
	if err != nil {
		b.log.Warn(eventForeign, keyConn, l.id, keyError, err)
		return false
	}
	for _, other := range instances {
		if other.CancelPrefix != prefix || other.PeerAddress == "" || other.ID == self.ID {
			continue
		}
		done, err := b.peers.Cancel(ctx, other.PeerAddress, peer.Cancel{PID: pid, Secret: secret})
		if err != nil {
			b.log.Warn(eventForeign, keyConn, l.id, keyInstance, other.ID, keyError, err)
		}
		return done.Known
	}
	return false
}

// neighbours remembers the instances for a second, so that cancel requests, which
// anybody can send, do not become as many questions to the registry. Safe for
// concurrent use.
type neighbours struct {
	ask func(context.Context) ([]registry.Instance, error)

	mu    sync.Mutex
	asked time.Time
	have  []registry.Instance
	err   error
}

const neighboursKept = time.Second

func (n *neighbours) all(ctx context.Context) ([]registry.Instance, error) {
	n.mu.Lock() // held while asking: the others want the same answer
	defer n.mu.Unlock()
	if time.Since(n.asked) > neighboursKept {
		n.have, n.err = n.ask(ctx)
		n.asked = time.Now()
	}
	return n.have, n.err
}
