package broker

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// cancels bounds the wrong cancel requests from one address. A secret of protocol
// 3.0 has 32 bits, so guessing it must be slow: at wrongPerSecond it takes seven
// years on average. Right ones are not counted: a service whose statements run
// into its time-out by the hundred is no attacker. Safe for concurrent use.
type cancels struct {
	mu   sync.Mutex
	from map[netip.Addr]*allowance
}

// allowance is how many wrong requests an address may still send.
type allowance struct {
	left float64
	at   time.Time
}

const (
	wrongPerSecond = 10
	wrongAtOnce    = 100
	// maxAddresses are remembered; those beyond share one allowance.
	maxAddresses = 10_000
)

func newCancels() *cancels { return &cancels{from: map[netip.Addr]*allowance{}} }

// may reports whether a request from there is looked at.
func (c *cancels) may(from net.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.from[c.place(from)]
	if a == nil {
		return true
	}
	a.refill()
	return a.left >= 1
}

// wrong counts a request that fitted nobody.
func (c *cancels) wrong(from net.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.place(from)
	a := c.from[place]
	if a == nil {
		a = &allowance{left: wrongAtOnce, at: time.Now()}
		c.from[place] = a
	}
	a.refill()
	a.left--
}

func (a *allowance) refill() {
	now := time.Now()
	a.left = min(wrongAtOnce, a.left+wrongPerSecond*now.Sub(a.at).Seconds())
	a.at = now
}

// place is the address that is counted: of IPv6 the network of 64 bits, since
// whoever has one address has all of these. The caller holds mu.
func (c *cancels) place(from net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if addr.Is6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			addr = network.Addr()
		}
	}
	if _, known := c.from[addr]; !known && len(c.from) >= maxAddresses {
		c.forget()
		if len(c.from) >= maxAddresses {
			return netip.Addr{}
		}
	}
	return addr
}

// forget drops those who may send as many as anybody again. The caller holds mu.
func (c *cancels) forget() {
	for addr, a := range c.from {
		if a.refill(); a.left >= wrongAtOnce {
			delete(c.from, addr)
		}
	}
}
