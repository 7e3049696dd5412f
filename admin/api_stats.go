package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func (a *api) addStats(ops huma.API) {
	huma.Register(ops, operation("get-stats", http.MethodGet, "/v1/stats", "Show what the broker does now",
		registry.Viewer), a.getStats)
}

type statsOutput struct{ Body client.Stats }

func (a *api) getStats(ctx context.Context, _ *struct{}) (*statsOutput, error) {
	if a.Broker == nil {
		return nil, huma.NewError(http.StatusServiceUnavailable, "this process runs no broker")
	}
	stats, err := a.Broker.Stats(ctx)
	if err != nil {
		a.Log.Error("admin request failed", "operation", "get-stats", "error", err)
		return nil, huma.NewError(http.StatusServiceUnavailable, "the broker does not answer")
	}
	if stats.Tenants == nil {
		stats.Tenants = []client.TenantStats{} // a list in JSON, never null
	}
	return &statsOutput{Body: stats}, nil
}
