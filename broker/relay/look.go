package relay

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nusajournal/dermaga/broker/wire"
)

// States of clients and servers, as Clients and Servers tell them.
const (
	StateActive    = "active"         // in a transaction
	StateIdle      = "idle"           // a client outside a transaction; a server that nobody has
	StateWaiting   = "waiting"        // a client: for a server
	StateKept      = "kept"           // a server, by a client outside a transaction
	StateTested    = "tested"         // a server, asked or cleaned between two clients
	StateCancelled = "being_canceled" // a server, until it has taken a cancel request
)

// ClientStats is a client as it was when Clients asked.
type ClientStats struct {
	ID                          uint64
	Slug, Database, Role, Login string
	Mode                        Mode
	State                       string
	Remote, Local, TLS          string
	Application                 string
	Since                       time.Time // it connected
	Request                     time.Time // its last transaction began
	Wait                        time.Duration
	Server                      uint64    // that it has; 0: none
	Statements                  int       // prepared by it
	Pins                        []string  // why it keeps its server
	Pinned                      time.Time // since when
	Quiet                       time.Time // since when it has sent nothing, outside a transaction
	Replication                 bool
}

// ServerStats is a server as it was when Servers asked.
type ServerStats struct {
	ID                   uint64
	Slug, Database, Role string
	State                string
	Remote, Local        string
	Encrypted            bool
	PID                  uint32 // of its PostgreSQL process
	Since                time.Time
	Request              time.Time // it was given to a client
	Client               uint64    // that has it; 0: none
	Application          string
	Statements           int // prepared on it
}

// Clients returns all clients, sorted by ID.
func (r *Relay) Clients(ctx context.Context) ([]ClientStats, error) {
	all, err := gather(ctx, r, (*loop).lookAtClients)
	slices.SortFunc(all, func(a, b ClientStats) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

// Servers returns all server connections, sorted by ID.
func (r *Relay) Servers(ctx context.Context) ([]ServerStats, error) {
	all, err := gather(ctx, r, (*loop).lookAtServers)
	slices.SortFunc(all, func(a, b ServerStats) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

// gather asks every loop between two of its turns.
func gather[T any](ctx context.Context, r *Relay, look func(*loop) []T) (all []T, err error) {
	got := make(chan []T, len(r.loops))
	for _, l := range r.loops {
		if !l.box.post(func(l *loop) { got <- look(l) }) {
			return nil, ErrStopped
		}
	}
	for range r.loops {
		select {
		case some := <-got:
			all = append(all, some...)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return all, nil
}

func (l *loop) lookAtClients() (out []ClientStats) {
	for _, c := range l.clientList() {
		out = append(out, l.lookAtClient(c))
	}
	return out
}

func (l *loop) lookAtClient(c *client) ClientStats {
	t := c.pool.Target()
	s := ClientStats{
		ID: c.id, Slug: t.Slug, Database: t.Database, Role: t.Role, Login: c.name, Mode: c.mode, State: StateIdle,
		Remote: address(unix.Getpeername, c.fd), Local: address(unix.Getsockname, c.fd), Since: c.arrived, Request: c.began,
		Statements: len(c.names), Pins: c.pins.names(), Pinned: c.pinned, Quiet: c.at, Replication: c.once,
	}
	if c.tls != nil {
		s.TLS = c.tls.Name()
	}
	s.Application, _ = c.told.get("application_name")
	if c.server != nil {
		s.Server = c.server.id
		if !c.between() {
			s.State = StateActive
		}
	}
	if c.waiting {
		s.State, s.Wait = StateWaiting, l.clock.Sub(c.since)
	}
	return s
}

func (l *loop) lookAtServers() (out []ServerStats) {
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil && c.asServer != nil {
			out = append(out, l.lookAtServer(c.asServer))
		}
	}
	return out
}

func (l *loop) lookAtServer(s *server) ServerStats {
	t := s.target
	out := ServerStats{
		ID: s.id, Slug: t.Slug, Database: t.Database, Role: t.Role, State: StateIdle, Encrypted: s.tls != nil,
		Remote: address(unix.Getpeername, s.fd), Local: address(unix.Getsockname, s.fd),
		PID: s.key.PID, Since: s.born, Request: s.idleSince, Statements: len(s.has),
	}
	out.Application, _ = s.reported.get("application_name")
	c := s.client
	switch {
	case c == nil && !s.due.none():
		out.State = StateTested
	case c == nil:
	case s.cancelling > 0:
		out.State = StateCancelled
	case c.between():
		out.State = StateKept
	default:
		out.State = StateActive
	}
	if c != nil {
		out.Client, out.Request = c.id, c.began
	}
	return out
}

// address is one end of a socket; "" where it has none that people know.
func address(of func(int) (unix.Sockaddr, error), fd int) string {
	at, err := of(fd)
	if err != nil {
		return ""
	}
	switch a := at.(type) {
	case *unix.SockaddrInet4:
		return net.JoinHostPort(net.IP(a.Addr[:]).String(), strconv.Itoa(a.Port))
	case *unix.SockaddrInet6:
		return net.JoinHostPort(net.IP(a.Addr[:]).String(), strconv.Itoa(a.Port))
	}
	return ""
}

// EndClient ends the client of that number with why, at once. It reports whether
// there is one.
func (r *Relay) EndClient(ctx context.Context, id uint64, why wire.Fields) (bool, error) {
	found, err := gather(ctx, r, func(l *loop) (found []bool) {
		for _, c := range l.clientList() {
			if c.id == id {
				l.fatal(c, why)
				found = append(found, true)
			}
		}
		return found
	})
	return len(found) > 0, err
}

// Reconnect closes the tenant's servers: the idle ones at once, the others when
// they are released.
func (r *Relay) Reconnect(tenant string) {
	t := r.tenant(&Target{Tenant: tenant})
	t.loop.box.post(func(l *loop) {
		t.renewed = l.clock
		t.each(func(p *Pool) {
			for len(p.idle) > 0 {
				l.closeServer(p.idle[len(p.idle)-1])
			}
		})
	})
}
