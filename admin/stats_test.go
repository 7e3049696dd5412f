package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

func body(text string) io.Reader { return strings.NewReader(text) }

func TestStatsWithoutABrokerAreEmptyLists(t *testing.T) {
	s := newSite(t)
	var stats map[string]any
	require.NoError(t, json.NewDecoder(s.ask(registry.Viewer, http.MethodGet, "/v1/stats", "").Body).Decode(&stats))
	require.Equal(t, map[string]any{
		"activeConnections": 0.0, "maxConnections": 0.0, "clients": 0.0, "servers": 0.0, "waiting": 0.0,
		"tenants": []any{}, "instances": []any{},
	}, stats)
}

func TestStatsAddUpTheInstancesAndNameWhoDoesNotAnswer(t *testing.T) {
	s := newSite(t)
	tenant := s.row("pt-a")
	s.addBroker("one:1", false)
	s.addBroker("two:1", false)
	s.addBroker("mute:1", false)
	s.peers.stats["one:1"] = peer.Stats{
		Ready: true, Connections: 5, MaxClients: 100, OpenTenants: 2, MaxConnections: 50,
		Tenants: []peer.Tenant{
			{Slug: "pt-a", Open: true, Pools: 1, Clients: 4, Servers: 2, Transactions: 10, Waits: 1, Waited: 1500 * time.Millisecond},
			{Slug: "pt-b", Open: true, Clients: 1},
			{Slug: "long-gone", Transactions: 7},
		},
		Servers: []peer.Server{{ID: tenant.ServerID, Used: 2, Share: 30, Budget: 90}},
	}
	s.peers.stats["two:1"] = peer.Stats{
		Ready: false, Connections: 1, MaxClients: 100, OpenTenants: 1, MaxConnections: 50,
		Tenants: []peer.Tenant{{Slug: "pt-a", Open: true, Pools: 1, Clients: 1, Servers: 1, Waiting: 1, Transactions: 5}},
	}
	stats, err := s.client(registry.Viewer).Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{3, 100, 6, 3, 1}, []int{stats.ActiveConnections, stats.MaxConnections, stats.Clients, stats.Servers, stats.Waiting})
	require.Len(t, stats.Tenants, 2)
	require.Equal(t, client.TenantStats{
		Slug: "pt-a", Pools: 2, Clients: 5, Servers: 3, Waiting: 1, Transactions: 15, Waits: 1, WaitedSeconds: 1.5,
	}, stats.Tenants[0])
	require.Len(t, stats.Instances, 3)
	require.Equal(t, []client.ServerShare{{Server: "nowhere", Used: 2, Share: 30, Budget: 90}}, stats.Instances[0].Servers)
	require.False(t, stats.Instances[0].Draining)
	require.True(t, stats.Instances[1].Draining)
	require.Equal(t, "no such peer", stats.Instances[2].Error)
}

func TestDisconnectTellsEveryBrokerAndSaysWhoDidNotHear(t *testing.T) {
	s := newSite(t)
	tenant := s.row("pt-a")
	s.addBroker("one:1", false)
	s.addBroker("mute:1", false)
	s.peers.stats["one:1"] = peer.Stats{}
	boss := s.client(registry.Admin)
	done, err := boss.Disconnect(t.Context(), "pt-a", client.Disconnection{})
	require.NoError(t, err)
	require.Equal(t, 3, done.Clients)
	require.Len(t, done.Instances, 2)
	require.Equal(t, "no such peer", done.Instances[1].Error)
	_, err = boss.Disconnect(t.Context(), "", client.Disconnection{GraceSeconds: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"one:1 " + tenant.ID, "one:1 "}, s.peers.disconnected)
	_, err = boss.Disconnect(t.Context(), "nobody", client.Disconnection{})
	require.Equal(t, http.StatusNotFound, client.StatusOf(err))
}

func TestListsComeInPages(t *testing.T) {
	s := newSite(t)
	for _, slug := range []string{"a", "b", "c"} {
		s.row(slug)
	}
	var page client.Tenants
	require.NoError(t, json.NewDecoder(s.ask(registry.Viewer, http.MethodGet, "/v1/tenants?limit=2", "").Body).Decode(&page))
	require.Equal(t, "b", page.Next)
	require.Len(t, page.Tenants, 2)
	page = client.Tenants{}
	require.NoError(t, json.NewDecoder(s.ask(registry.Viewer, http.MethodGet, "/v1/tenants?limit=2&cursor=b", "").Body).Decode(&page))
	require.Empty(t, page.Next)
	require.Equal(t, "c", page.Tenants[0].Slug)

	viewer := s.client(registry.Viewer)
	log, err := viewer.Activities(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, log, 7, "a server, three tokens, three tenants")
	var first client.Activities
	require.NoError(t, json.NewDecoder(s.ask(registry.Viewer, http.MethodGet, "/v1/activities?limit=1", "").Body).Decode(&first))
	require.Equal(t, "c", first.Activities[0].Tenant)
	require.NotEmpty(t, first.Next)
	var second client.Activities
	require.NoError(t, json.NewDecoder(s.ask(registry.Viewer, http.MethodGet, "/v1/activities?limit=1&cursor="+first.Next, "").Body).Decode(&second))
	require.Equal(t, "b", second.Activities[0].Tenant)
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/activities?cursor=x", ""), http.StatusUnprocessableEntity, "cursor")
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/tenants?limit=0", ""), http.StatusUnprocessableEntity, "limit")

	servers, err := viewer.Servers(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, servers[0].Tenants)
	one, err := viewer.Server(t.Context(), "nowhere")
	require.NoError(t, err)
	require.Equal(t, servers[0], one)
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/servers/x", ""), http.StatusNotFound, "there is no server x")
}
