package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/admin"
	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/registry"
)

// newLog writes to standard error, whatever the command prints.
func newLog(o options, s streams) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.log.level}
	if o.log.format == "json" {
		return slog.New(slog.NewJSONHandler(s.err, opts))
	}
	return slog.New(slog.NewTextHandler(s.err, opts))
}

func openRegistry(ctx context.Context, o options, log *slog.Logger) (*registry.Registry, error) {
	reg, err := registry.Open(ctx, registry.Config{
		URL: o.registry.url, Keys: o.registry.keys, Log: log,
		CacheSize: o.registry.cacheSize, CacheTTL: o.registry.cacheTTL,
		NegativeTTL: o.registry.negativeTTL, StaleMax: o.registry.staleMax,
	})
	if err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	return reg, nil
}

// doors are the addresses that the process answers at, opened before anything
// else is started: a port in use must not leave half of a system behind.
type doors struct {
	broker, admin net.Listener
}

func openDoors(ctx context.Context, o options) (doors, error) {
	var d doors
	cfg := net.ListenConfig{KeepAlive: -1} // the broker sets its own
	var err error
	if d.broker, err = cfg.Listen(ctx, "tcp", o.broker.listen); err != nil {
		return d, inUse("broker", "--listen", o.broker.listen, err)
	}
	if d.admin, err = admin.Listen(ctx, o.admin.listen, o.admin.public); err != nil {
		d.broker.Close()
		return d, inUse("admin API", "--admin-listen", o.admin.listen, err)
	}
	return d, nil
}

func (d doors) close() {
	d.broker.Close()
	d.admin.Close()
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

// system is one process's registry, broker and admin API, joined.
type system struct {
	options options
	doors   doors
	reg     *registry.Registry
	broker  *broker.Broker
	admin   http.Handler
	log     *slog.Logger
}

func assemble(o options, d doors, reg *registry.Registry, log *slog.Logger) (*system, error) {
	cfg, err := brokerConfig(o, log)
	if err != nil {
		return nil, err
	}
	b, err := broker.New(cfg, reg)
	if err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), b.Collector())
	s := &system{options: o, doors: d, reg: reg, broker: b, log: log}
	s.admin = admin.Handler(admin.Config{
		Registry: reg, Provision: s.provision(), Broker: brokerStats{b}, Gatherer: metrics,
		TenantURL: s.tenantURL, OpenMetrics: !o.admin.public, Version: thisBuild().Version, Log: log,
	})
	return s, nil
}

func (s *system) provision() provision.Deps {
	return provision.Deps{
		Registry: s.reg, Check: s.broker.Check, Prefix: s.options.tenants.prefix, Log: s.log,
	}
}

// run serves until ctx ends or a part fails, and returns when all have ended:
// the admin API undoes what it was making, the broker drains. begun runs beside
// them once both answer.
func (s *system) run(ctx context.Context, begun func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return admin.Serve(ctx, s.doors.admin, s.admin, s.log) })
	g.Go(func() error { return s.broker.Serve(context.WithoutCancel(ctx), s.doors.broker) }) // until Shutdown
	g.Go(func() error {
		<-ctx.Done()
		s.log.Info("ending: running transactions may finish", "within", s.options.broker.drain)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.broker.drain)
		defer cancel()
		if err := s.broker.Shutdown(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("end the broker: %w", err)
		}
		return nil
	})
	if begun != nil {
		g.Go(func() error { return begun(ctx) })
	}
	return g.Wait()
}

func brokerConfig(o options, log *slog.Logger) (broker.Config, error) {
	b := o.broker
	certificate, err := loadTLS(b.tlsCert, b.tlsKey)
	if err != nil {
		return broker.Config{}, err
	}
	if b.requireTLS && certificate == nil {
		return broker.Config{}, usageError{errors.New("--require-tls without a certificate would refuse everybody: give --tls-cert and --tls-key")}
	}
	return broker.Config{
		TLS: certificate, RequireTLS: b.requireTLS, Keys: o.registry.keys,
		MaxConnections: b.maxConnections, ConnectionTTL: b.connectionTTL, PoolMode: b.poolMode,
		HandshakeTimeout: b.handshake, ServerConnectTimeout: b.serverConnect, QueryWaitTimeout: b.queryWait,
		ServerIdleTimeout: b.serverIdle, ServerLifetime: b.serverLifetime,
		Loops: b.loops, Log: log,
	}, nil
}

// brokerStats is the broker as the admin API asks for it.
type brokerStats struct{ *broker.Broker }

// Stats adds up the pools of each tenant that has any open.
func (b brokerStats) Stats(ctx context.Context) (client.Stats, error) {
	now, err := b.Broker.Stats(ctx)
	if err != nil {
		return client.Stats{}, err
	}
	out := client.Stats{ActiveConnections: now.OpenTenants, MaxConnections: now.MaxConnections}
	for _, p := range now.Pools { // sorted by slug
		if !p.Open {
			continue
		}
		last := len(out.Tenants) - 1
		if last < 0 || out.Tenants[last].Slug != p.Slug {
			out.Tenants = append(out.Tenants, client.TenantStats{Slug: p.Slug})
			last++
		}
		t := &out.Tenants[last]
		t.Pools++
		t.Clients += p.Clients
		t.Waiting += p.Waiting
		t.Servers += p.Servers
		t.IdleServers += p.Idle
		t.Transactions += int64(p.Transaction.Count())
	}
	return out, nil
}

// address is where clients are told to connect: what was said, or where the
// broker listens.
func (s *system) address() string {
	if s.options.broker.advertise != "" {
		return s.options.broker.advertise
	}
	return reachable(s.doors.broker.Addr())
}

// reachable turns "all addresses" into one that a client here can use.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}

func (s *system) tenantURL(slug, login string, password registry.Secret) string {
	u := url.URL{
		Scheme: "postgresql", User: url.UserPassword(login, password.Reveal()),
		Host: s.address(), Path: "/" + slug,
	}
	if s.options.broker.requireTLS {
		u.RawQuery = "sslmode=require"
	}
	return u.String()
}
