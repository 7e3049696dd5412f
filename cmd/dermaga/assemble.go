package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/admin"
	"github.com/nusajournal/dermaga/admin/fence"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// newLog writes to standard error, whatever the command prints.
func newLog(o options, s streams) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.log.level}
	if o.log.format == "json" {
		return slog.New(slog.NewJSONHandler(s.err, opts))
	}
	return slog.New(slog.NewTextHandler(s.err, opts))
}

func openRegistry(ctx context.Context, o options, d doors, log *slog.Logger) (*registry.Registry, error) {
	cfg := registryConfig(o, log)
	cfg.Broker = d.broker != nil
	cfg.PeerAddress = o.broker.peerAdvertise
	if cfg.Broker && cfg.PeerAddress == "" {
		cfg.PeerAddress = reachable(d.peer.Addr())
	}
	reg, err := registry.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	return reg, nil
}

func registryConfig(o options, log *slog.Logger) registry.Config {
	return registry.Config{
		URL: o.registry.url, Keys: o.registry.keys, Log: log,
		CacheSize: o.registry.cacheSize, CacheTTL: o.registry.cacheTTL,
		NegativeTTL: o.registry.negativeTTL, StaleMax: o.registry.staleMax,
	}
}

// A system is one process's registry, broker and admin API, joined.
type system struct {
	options options
	doors   doors
	reg     *registry.Registry
	broker  *broker.Broker // nil: others serve clients
	peers   *peer.Client
	admin   http.Handler
	log     *slog.Logger
}

func assemble(ctx context.Context, o options, d doors, reg *registry.Registry, log *slog.Logger) (*system, error) {
	s := &system{options: o, doors: d, reg: reg, log: log}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if s.peers, err = peer.NewClient(o.registry.keys); err != nil {
		return nil, err
	}
	if d.broker != nil {
		cfg, err := brokerConfig(o, log)
		if err != nil {
			return nil, err
		}
		cfg.Repair = func(ctx context.Context, route *registry.Route) error {
			return provision.Repair(ctx, s.provision(), route)
		}
		if s.broker, err = broker.New(cfg, reg); err != nil {
			return nil, err
		}
		metrics.MustRegister(s.broker.Collector())
	}
	s.admin = admin.Handler(admin.Config{
		Registry: reg, Provision: s.provision(), Peers: s.peers, Ready: s.ready(), Gatherer: metrics,
		Fence: fence.Fence{Connect: func(ctx context.Context, serverID int64) (*pgx.Conn, error) {
			return provision.AsAdmin(ctx, reg, serverID)
		}},
		TenantURL: s.tenantURL, HealthOnly: o.parts.noAdmin, OpenMetrics: !o.admin.public,
		Version: thisBuild().Version, Log: log,
	})
	return s, nil
}

// provision works without a broker too: it then tries a new tenant by itself.
func (s *system) provision() provision.Deps {
	deps := provision.Deps{Registry: s.reg, Prefix: s.options.tenants.prefix, Log: s.log}
	if s.broker != nil {
		deps.Check = s.broker.Check
	}
	return deps
}

var errDraining = errors.New("the broker is draining: it takes no new clients")

func (s *system) ready() func() error {
	if s.broker == nil {
		return nil
	}
	return func() error {
		if !s.broker.Ready() {
			return errDraining
		}
		return nil
	}
}

// run serves until ctx ends or a part fails, and returns when all have ended: the
// broker drains, and the admin API, which says so meanwhile, undoes what it was
// making. begun runs beside them once both answer.
func (s *system) run(ctx context.Context, begun func(context.Context) error) error {
	defer s.peers.Close()
	g, ctx := errgroup.WithContext(ctx)
	last, end := context.WithCancel(context.WithoutCancel(ctx)) // after the drain
	g.Go(func() error { return admin.Serve(last, s.doors.admin, s.admin, s.log) })
	if s.broker != nil {
		g.Go(func() error { return s.broker.Serve(last, s.doors.broker) })    // until Shutdown
		g.Go(func() error { return s.broker.ServePeers(last, s.doors.peer) }) // likewise
	}
	g.Go(func() error {
		defer end()
		<-ctx.Done()
		return s.drain(context.WithoutCancel(ctx))
	})
	if begun != nil {
		g.Go(func() error { return begun(ctx) })
	}
	return g.Wait()
}

// drain ends the broker: not ready first, idle clients last.
func (s *system) drain(ctx context.Context) error {
	if s.broker == nil {
		return nil
	}
	s.broker.Drain(ctx)
	bounded, cancel := context.WithTimeout(ctx, s.options.broker.drain)
	defer cancel()
	if err := s.broker.Shutdown(bounded); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("end the broker: %w", err)
	}
	return nil
}

func brokerConfig(o options, log *slog.Logger) (broker.Config, error) {
	b := o.broker
	shown, err := loadCertificate(b.tlsCert, b.tlsKey)
	if err != nil {
		return broker.Config{}, err
	}
	cfg := broker.Config{
		RequireTLS: b.requireTLS, Keys: o.registry.keys,
		MaxConnections: b.maxConnections, ConnectionTTL: b.connectionTTL, PoolMode: b.poolMode,
		MaxClients: b.maxClients, QueueLength: b.queueLength, MaxPreparedStatements: b.preparedStatements,
		ClientLoginTimeout: b.clientLogin, ServerConnectTimeout: b.serverConnect, QueryWaitTimeout: b.queryWait,
		ServerCheckDelay: b.serverCheck, CancelWaitTimeout: b.cancelWait, QueryWaitNotify: b.waitNotify,
		QueryTimeout: max(b.query, 0), IdleTransactionTimeout: max(b.idleTransaction, 0),
		TransactionTimeout: max(b.transaction, 0), ClientIdleTimeout: max(b.clientIdle, 0), PinIdleTimeout: b.pinIdle,
		MaxPinned: b.maxPinned, TransactionState: b.transactionState, TellSettings: b.tellSettings, Version: thisBuild().Version,
		ServerIdleTimeout: b.serverIdle, ServerLifetime: b.serverLifetime, ServerLoginRetry: b.loginRetry,
		ProvisionWait: b.provisionWait, MigrationWait: b.migrationWait, SuspendGrace: b.suspendGrace,
		TCPUserTimeout: b.tcpUser, Loops: b.loops, Log: log,
	}
	if shown != nil {
		cfg.TLS = shown.config()
		cfg.Reload = func(context.Context) error { return shown.reload() }
	}
	return cfg, nil
}

// address is where clients are told to connect: what was said, or where the
// broker listens, or would.
func (s *system) address() string {
	switch {
	case s.options.broker.advertise != "":
		return s.options.broker.advertise
	case s.doors.broker == nil:
		return s.options.broker.listen
	}
	return reachable(s.doors.broker.Addr())
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
