package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nusajournal/dermaga/admin/fence"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// Time-outs of the HTTP server. Provisioning takes seconds and may undo what it
// made for a minute, so neither answers nor the end are cut short of that.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	writeTimeout  = 5 * time.Minute
	drainTimeout  = 75 * time.Second
	maxHeader     = 32 << 10 // bytes
)

// Peers is what the API asks of running brokers, its own process's included,
// each by its peer address. It is *peer.Client.
type Peers interface {
	Stats(ctx context.Context, address string) (peer.Stats, error)
	// Disconnect returns when the clients have gone.
	Disconnect(ctx context.Context, address string, d peer.Disconnect) (peer.Disconnected, error)
}

// Config is what the API works with.
type Config struct {
	Registry  *registry.Registry
	Provision provision.Deps
	Peers     Peers

	// Fence closes and opens tenants' databases at their servers.
	Fence fence.Fence

	// Ready says why the broker of this process should not be sent new clients.
	// Nil: it has none.
	Ready func() error

	Gatherer prometheus.Gatherer // for /metrics; nil: there is none

	// TenantURL makes the connection URL that a new tenant's owner gets.
	TenantURL func(slug, login string, password registry.Secret) string

	// HealthOnly leaves /health, /ready and /metrics: the process serves clients,
	// and is administered through another.
	HealthOnly bool

	// OpenMetrics lets /metrics, which names tenants, be read without a token.
	OpenMetrics bool

	Version string       // for the OpenAPI document
	Log     *slog.Logger // nil discards
}

// api is the handlers' common state.
type api struct {
	Config
}

// Handler returns the whole HTTP interface.
func Handler(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &api{cfg}
	mux := http.NewServeMux()

	doc := huma.DefaultConfig("Dermaga", cfg.Version)
	doc.DocsPath = ""     // its page loads scripts from other hosts
	doc.SchemasPath = ""  // and no $schema links in answers
	doc.CreateHooks = nil // which these would add
	doc.Info.Description = "Tenants of a Dermaga connection broker. Errors are RFC 9457 problems."
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "made by: dermaga registry token"},
	}
	ops := humago.New(mux, doc)
	ops.UseMiddleware(a.allow(ops))
	a.addHealth(ops)
	if !cfg.HealthOnly {
		a.addTenants(ops)
		a.addStatus(ops)
		a.addLogins(ops)
		a.addServers(ops)
		a.addActivities(ops)
		a.addStats(ops)
		a.addDisconnect(ops)
	}
	if cfg.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{}))
	}
	return a.authenticate(readBody(route(mux)))
}

// Listen opens the address of the API. Without public it must be loopback.
func Listen(ctx context.Context, address string, public bool) (net.Listener, error) {
	if !public {
		if err := onlyLoopback(address); err != nil {
			return nil, err
		}
	}
	var cfg net.ListenConfig
	ln, err := cfg.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	return ln, nil
}

// ErrPublic says that an address would be reachable from elsewhere.
var ErrPublic = errors.New("admin API on an address that is not loopback would send new passwords over the network in clear: listen on 127.0.0.1, or put TLS in front and say --admin-public")

func onlyLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("admin API address %s: %w", address, err)
	}
	if ip, err := netip.ParseAddr(host); (err == nil && ip.IsLoopback()) || host == "localhost" {
		return nil
	}
	return fmt.Errorf("%s: %w", address, ErrPublic)
}

// Serve answers requests on ln until ctx ends, which also ends what they do:
// a tenant half provisioned is undone first. It closes ln.
func Serve(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("admin API: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("admin API: requests still running after %s: %w", drainTimeout, errors.Join(err, server.Close()))
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin API: %w", err)
	}
	return nil
}
