package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func (a *api) addServers(ops huma.API) {
	huma.Register(ops, operation("list-servers", http.MethodGet, "/v1/servers", "List the servers of the tenants' databases",
		registry.Viewer), a.listServers)
	huma.Register(ops, operation("get-server", http.MethodGet, "/v1/servers/{name}", "Show a server",
		registry.Viewer, http.StatusNotFound), a.getServer)
}

type serversOutput struct{ Body client.Servers }

func (a *api) listServers(ctx context.Context, _ *struct{}) (*serversOutput, error) {
	found, err := a.Registry.Servers(ctx)
	if err != nil {
		return nil, a.refuse("list-servers", err)
	}
	out := &serversOutput{Body: client.Servers{Servers: []client.Server{}}}
	for _, s := range found {
		out.Body.Servers = append(out.Body.Servers, serverBody(s))
	}
	return out, nil
}

type serverInput struct {
	Name string `path:"name"`
}

type serverOutput struct{ Body client.Server }

func (a *api) getServer(ctx context.Context, in *serverInput) (*serverOutput, error) {
	s, err := a.Registry.ServerByName(ctx, in.Name)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, huma.NewError(http.StatusNotFound, "there is no server "+in.Name)
	}
	if err != nil {
		return nil, a.refuse("get-server", err)
	}
	return &serverOutput{Body: serverBody(s)}, nil
}

func serverBody(s registry.Server) client.Server {
	return client.Server{
		Name: s.Name, Host: s.Host, Port: s.Port, SSLMode: s.SSLMode, State: s.State,
		ConnectionBudget: s.ConnectionBudget, Tenants: s.Tenants, MaxTenants: s.MaxTenants,
	}
}

func (a *api) serverNames(ctx context.Context) (map[int64]string, error) {
	found, err := a.Registry.Servers(ctx)
	out := make(map[int64]string, len(found))
	for _, s := range found {
		out[s.ID] = s.Name
	}
	return out, err
}
