package broker

import (
	"context"
	"errors"
	"net"

	"github.com/nusajournal/dermaga/registry/peer"
)

// ServePeers answers other instances, and the admin side, on ln until ctx ends
// or Shutdown, and closes it. Only who has the same Config.Keys is answered.
func (b *Broker) ServePeers(ctx context.Context, ln net.Listener) error {
	if b.cfg.Keys == nil {
		_ = ln.Close()
		return errors.New("serve peers: no keys")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.stopping, cancel)()
	return peer.Serve(ctx, ln, b.cfg.Keys, b, b.log)
}

// PeerStats implements peer.Served.
func (b *Broker) PeerStats(ctx context.Context) (peer.Stats, error) {
	return peer.Stats{}, errors.New("not yet")
}

// Disconnect implements peer.Served.
func (b *Broker) Disconnect(ctx context.Context, d peer.Disconnect) (peer.Disconnected, error) {
	return peer.Disconnected{}, errors.New("not yet")
}

// CancelOwn implements peer.Served.
func (b *Broker) CancelOwn(ctx context.Context, c peer.Cancel) (peer.Cancelled, error) {
	b.keys.cancel(c.PID, c.Secret)
	return peer.Cancelled{}, nil
}

// Drain makes Ready false, and does nothing else yet: whoever sends clients here
// has time to notice before Shutdown. Safe to call more than once.
func (b *Broker) Drain() { b.draining.Store(true) }

// Ready reports whether new clients should be sent here.
func (b *Broker) Ready() bool { return !b.draining.Load() && b.stopping.Err() == nil }
