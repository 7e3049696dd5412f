package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/admin"
	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/fence"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// A registry's caches each keep a goroutine that nobody can end (golang-lru);
// a process has one registry.
var lruSweep = goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1")

func TestMain(m *testing.M) { pgtest.Main(m, lruSweep) }

// peerStub answers in the place of brokers, by their peer addresses.
type peerStub struct {
	mu           sync.Mutex
	stats        map[string]peer.Stats
	disconnected []string // address and tenant id
}

var errPeer = errors.New("no such peer")

func (p *peerStub) Stats(_ context.Context, address string) (peer.Stats, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.stats[address]
	if !ok {
		return s, errPeer
	}
	return s, nil
}

func (p *peerStub) Disconnect(_ context.Context, address string, d peer.Disconnect) (peer.Disconnected, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.stats[address]; !ok {
		return peer.Disconnected{}, errPeer
	}
	p.disconnected = append(p.disconnected, address+" "+d.Tenant)
	return peer.Disconnected{Clients: 3}, nil
}

// A site is an API over a registry of its own.
type site struct {
	*testing.T
	at     string // the registry's URL
	keys   *registry.Keys
	cfg    admin.Config
	ready  error
	peers  *peerStub
	server *httptest.Server
	log    *syncBuffer
	tokens map[registry.TokenRole]registry.Secret
}

func newSite(t *testing.T) *site {
	t.Helper()
	ctx := t.Context()
	at := pgtest.Database(t)
	require.NoError(t, migrations.Registry(ctx, at))
	keys, err := registry.ParseKeys("6f1d0c7b6a5948372615f4e3d2c1b0a98f7e6d5c4b3a29181706f5e4d3c2b1a0")
	require.NoError(t, err)
	log := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	reg, err := registry.Open(ctx, registry.Config{URL: registry.Secret(at), Keys: keys, Log: logger})
	require.NoError(t, err)
	t.Cleanup(reg.Close)

	s := &site{
		T: t, at: at, keys: keys, peers: &peerStub{stats: map[string]peer.Stats{}}, log: log,
		tokens: map[registry.TokenRole]registry.Secret{},
	}
	for _, role := range []registry.TokenRole{registry.Viewer, registry.Operator, registry.Admin} {
		s.tokens[role], err = reg.CreateToken(ctx, "test-"+string(role), role)
		require.NoError(t, err)
	}
	s.cfg = admin.Config{
		Registry: reg, Provision: provision.Deps{Registry: reg, Log: logger}, Peers: s.peers,
		Ready: func() error { return s.ready },
		Fence: fence.Fence{Connect: func(ctx context.Context, server int64) (*pgx.Conn, error) {
			return provision.AsAdmin(ctx, reg, server)
		}},
		Gatherer: prometheus.NewRegistry(), OpenMetrics: true, Version: "test", Log: logger,
		TenantURL: func(slug, login string, password registry.Secret) string {
			u := url.URL{Scheme: "postgresql", User: url.UserPassword(login, password.Reveal()), Host: "broker:6432", Path: "/" + slug}
			return u.String()
		},
	}
	s.open()
	return s
}

// open serves s.cfg, in place of what was served before.
func (s *site) open() {
	if s.server != nil {
		s.server.Close()
	}
	s.server = httptest.NewServer(admin.Handler(s.cfg))
	s.Cleanup(s.server.Close)
	s.Cleanup(s.server.Client().CloseIdleConnections)
}

// addBroker is another process, one that relays, as the registry knows it. It
// acknowledges every change at once, unless it hangs.
func (s *site) addBroker(address string, hangs bool) *registry.Registry {
	s.Helper()
	reg, err := registry.Open(s.Context(), registry.Config{
		URL: registry.Secret(s.at), Keys: s.keys, Log: slog.New(slog.DiscardHandler), Broker: true, PeerAddress: address,
	})
	require.NoError(s, err)
	s.Cleanup(reg.Close)
	if !hangs {
		reg.OnChange(func(ch registry.Change) { reg.Acknowledge(ch.ID) })
		reg.Acknowledge(reg.Stats().SeenChange)
	}
	return reg
}

// addServer gives the registry a server to put tenants on.
func (s *site) addServer() {
	s.Helper()
	super := pgtest.URL(s)
	ready, err := provision.PrepareServer(s.Context(), registry.Secret(super), "password-of-the-tests")
	require.NoError(s, err)
	server := pgtest.Server(s)
	_, err = s.cfg.Registry.AddServer(s.Context(), registry.NewServer{
		Name: "local", Host: server.Host(), Port: server.Port(), SSLMode: "disable", ConnectionBudget: ready.Budget,
		AdminRole: ready.Role, AdminPassword: ready.Password, Actor: "test",
	})
	require.NoError(s, err)
	s.Cleanup(s.dropTenants)
}

func (s *site) dropTenants() {
	ctx := context.Background()
	super, err := pgx.Connect(ctx, pgtest.URL(s))
	require.NoError(s, err)
	defer super.Close(ctx)
	tenants, err := s.cfg.Registry.Tenants(ctx, registry.Filter{})
	require.NoError(s, err)
	deleted, err := s.cfg.Registry.Tenants(ctx, registry.Filter{Status: registry.Deleted})
	require.NoError(s, err)
	tenants = append(tenants, deleted...)
	for _, t := range tenants {
		roles := registry.RoleNames(t.ID)
		roles.Owner = registry.RoleName(t.ID, registry.Owner, 1)
		_, err := super.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{t.Database}.Sanitize()+" WITH (FORCE)")
		require.NoError(s, err)
		_, err = super.Exec(ctx, "DROP ROLE IF EXISTS "+strings.Join(roles.All(), ", "))
		require.NoError(s, err)
	}
}

func (s *site) client(role registry.TokenRole) *client.Client {
	c := client.New(s.server.URL, s.tokens[role])
	s.Cleanup(c.Close)
	return c
}

// ask sends a request with role's token, "" for none.
func (s *site) ask(role registry.TokenRole, method, path, body string) *http.Response {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.server.URL+path, strings.NewReader(body))
	require.NoError(s, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+s.tokens[role].Reveal())
	}
	resp, err := s.server.Client().Do(req)
	require.NoError(s, err)
	s.Cleanup(func() { resp.Body.Close() })
	return resp
}

// requireProblem reads an RFC 9457 problem.
func (s *site) requireProblem(resp *http.Response, status int, detail string) client.Problem {
	s.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	require.Equal(s, status, resp.StatusCode, string(body))
	require.Equal(s, "application/problem+json", resp.Header.Get("Content-Type"))
	var p client.Problem
	require.NoError(s, json.Unmarshal(body, &p), string(body))
	require.Equal(s, status, p.Status)
	require.Equal(s, http.StatusText(status), p.Title)
	require.Contains(s, string(body), detail)
	return p
}

// syncBuffer is a log that a test reads while others write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
