package broker

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nusajournal/dermaga/registry/peer"
)

// firstShares bounds the wait for them at the start.
const firstShares = 10 * time.Second

// share takes part in dividing the servers' connections among the instances,
// where this process is one of them, until the registry is closed. Before a
// server's first division none of it is ours.
func (b *Broker) share() {
	if self, ok := b.reg.Self(); !ok || !self.Broker {
		return // there is nobody to share with: each budget is ours
	}
	b.limits.divide()
	ctx, cancel := context.WithTimeout(b.life, firstShares)
	defer cancel()
	err := b.reg.Shares(ctx, func(id int64) int {
		return b.limits.used(strconv.FormatInt(id, 10))
	}, func(id int64, connections int) {
		b.limits.share(strconv.FormatInt(id, 10), connections)
	})
	if err != nil {
		b.log.Error(eventShares, keyError, err)
	}
}

// used is how many connections to a server there are, with those being opened.
func (p *limits) used(server string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.budgets[server]; b != nil {
		return b.used
	}
	return 0
}

// servers tells what is used of each server.
func (p *limits) servers() []peer.Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []peer.Server{}
	for name, b := range p.budgets {
		id, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			continue
		}
		out = append(out, peer.Server{ID: id, Used: b.used, Share: b.limit, Budget: b.total, Waiting: len(b.waiting)})
	}
	slices.SortFunc(out, func(a, b peer.Server) int { return int(a.ID - b.ID) })
	return out
}
