package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin"
	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func TestHealthAndReadiness(t *testing.T) {
	s := newSite(t)
	require.Equal(t, http.StatusOK, s.ask("", http.MethodGet, "/health", "").StatusCode)
	require.Equal(t, http.StatusOK, s.ask("", http.MethodGet, "/ready", "").StatusCode)

	s.ready = errors.New("the broker is draining")
	s.requireProblem(s.ask("", http.MethodGet, "/ready", ""), http.StatusServiceUnavailable, "the broker is draining")
	require.Equal(t, http.StatusOK, s.ask("", http.MethodGet, "/health", "").StatusCode)
	s.ready = nil

	s.cfg.Registry.Close()
	s.requireProblem(s.ask("", http.MethodGet, "/ready", ""), http.StatusServiceUnavailable, "the registry does not answer")
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/stats", ""), http.StatusServiceUnavailable, "the registry does not answer")
	require.Equal(t, http.StatusOK, s.ask("", http.MethodGet, "/health", "").StatusCode)
}

// The registry restarts: whoever is known is served, so the balancer is to send
// clients on.
func TestReadyWhileKnownTenantsAreServed(t *testing.T) {
	s := newSite(t)
	s.row("known")
	_, err := s.client(registry.Admin).CreateLogin(t.Context(), client.NewLogin{Name: "app", Tenant: "known"})
	require.NoError(t, err)
	require.True(t, s.knows("known", "app"))
	s.cfg.Registry.Close()
	resp := s.ask("", http.MethodGet, "/ready", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var body struct {
		Status                         string
		RegistryAwaySince, ServesUntil time.Time
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	require.Equal(t, "ready", body.Status)
	require.Equal(t, time.Hour, body.ServesUntil.Sub(body.RegistryAwaySince))

	s.ready = errors.New("the broker is draining")
	s.requireProblem(s.ask("", http.MethodGet, "/ready", ""), http.StatusServiceUnavailable, "the broker is draining")
	s.cfg.Ready = nil // it only administers
	s.open()
	s.requireProblem(s.ask("", http.MethodGet, "/ready", ""), http.StatusServiceUnavailable, "the registry does not answer")
}

// A process that only serves clients is still watched and scraped.
func TestHealthOnlyLeavesNoAPI(t *testing.T) {
	s := newSite(t)
	s.cfg.HealthOnly = true
	s.open()
	for _, path := range []string{"/health", "/ready", "/metrics"} {
		require.Equal(t, http.StatusOK, s.ask("", http.MethodGet, path, "").StatusCode, path)
	}
	for _, path := range []string{"/v1/tenants", "/v1/stats"} {
		s.requireProblem(s.ask(registry.Admin, http.MethodGet, path, ""), http.StatusNotFound, "there is no "+path)
	}
}

func TestOpenAPIDocumentDescribesTheOperations(t *testing.T) {
	s := newSite(t)
	resp := s.ask("", http.MethodGet, "/openapi.json", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	require.Equal(t, "create-tenant", doc.Paths["/v1/tenants"]["post"].OperationID)
	require.Equal(t, "get-stats", doc.Paths["/v1/stats"]["get"].OperationID)
}

func TestOnlyLoopbackIsListenedOnUnlessToldOtherwise(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "db.example:0"} {
		_, err := admin.Listen(t.Context(), address, false)
		require.ErrorIs(t, err, admin.ErrPublic, address)
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "127.9.9.9:0"} {
		ln, err := admin.Listen(t.Context(), address, false)
		require.NoError(t, err)
		ln.Close()
	}
	ln, err := admin.Listen(t.Context(), "0.0.0.0:0", true)
	require.NoError(t, err)
	ln.Close()
}

// Whoever ends the process while a tenant is being made finds it undone.
func TestServeEndsByUndoingWhatIsBeingMade(t *testing.T) {
	s := newSite(t)
	s.addServer()
	ctx, cancel := context.WithCancel(t.Context())
	s.cfg.Provision.Check = func(ctx context.Context, _, _ string, _ registry.Secret) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	var cfg net.ListenConfig
	ln, err := cfg.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- admin.Serve(ctx, ln, admin.Handler(s.cfg), slog.New(slog.DiscardHandler)) }()

	c := client.New("http://"+ln.Addr().String(), s.tokens[registry.Operator])
	defer c.Close()
	_, err = c.CreateTenant(t.Context(), client.NewTenant{Slug: "cut-short"})
	require.Error(t, err)
	require.NoError(t, <-served)

	tenant, err := s.cfg.Registry.TenantBySlug(t.Context(), "cut-short")
	require.NoError(t, err)
	require.Equal(t, registry.Suspended, tenant.Status)
}
