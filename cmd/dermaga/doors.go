package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/nusajournal/dermaga/admin"
)

// doors are the addresses that the process answers at, opened before anything
// else is started: a port in use must not leave half of a system behind.
type doors struct {
	admin        net.Listener
	broker, peer net.Listener // nil without a broker
}

func openDoors(ctx context.Context, o options) (d doors, err error) {
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.admin, err = admin.Listen(ctx, o.admin.listen, o.admin.public); err != nil {
		return d, inUse("admin API", "--admin-listen", o.admin.listen, err)
	}
	if o.parts.noBroker {
		return d, nil
	}
	var cfg net.ListenConfig
	if d.broker, err = cfg.Listen(ctx, "tcp", o.broker.listen); err != nil {
		return d, inUse("broker", "--listen", o.broker.listen, err)
	}
	if d.peer, err = cfg.Listen(ctx, "tcp", o.broker.peerListen); err != nil {
		return d, inUse("peer", "--peer-listen", o.broker.peerListen, err)
	}
	return d, nil
}

func (d doors) close() {
	for _, ln := range []net.Listener{d.admin, d.broker, d.peer} {
		if ln != nil {
			ln.Close()
		}
	}
}

func (d doors) brokerAddress() string { return addressOf(d.broker) }
func (d doors) peerAddress() string   { return addressOf(d.peer) }

// addressOf is for the log.
func addressOf(ln net.Listener) string {
	if ln == nil {
		return "none"
	}
	return ln.Addr().String()
}

func inUse(who, flag, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s address %s is in use by another program: end it, or choose another address with %s", who, address, flag)
	case errors.Is(err, admin.ErrPublic):
		return usageError{err}
	}
	return fmt.Errorf("%s address %s (%s): %w", who, address, flag, err)
}

// unspecified holds for an address that means all of the machine's.
func unspecified(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false // said elsewhere
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// reachable turns "all addresses" into one that a client here can use.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}
