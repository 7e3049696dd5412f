package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// readyLimit bounds the question whether the registry answers: a load balancer
// asks every few seconds.
const readyLimit = 2 * time.Second

func (a *api) addHealth(ops huma.API) {
	huma.Register(ops, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/health", Summary: "Say whether the process lives",
	}, a.health)
	huma.Register(ops, huma.Operation{
		OperationID: "ready", Method: http.MethodGet, Path: "/ready", Summary: "Say whether new clients can be sent here",
		Errors: []int{http.StatusServiceUnavailable},
	}, a.ready)
}

type stateOutput struct {
	Body struct {
		Status string `json:"status" enum:"ok,ready"`
	}
}

type readyOutput struct {
	Body struct {
		Status string `json:"status" enum:"ready"`
		// Both are only there while the registry is away.
		RegistryAwaySince *time.Time `json:"registryAwaySince,omitempty" doc:"The registry does not answer: tenants that have been used here go on, others are refused"`
		ServesUntil       *time.Time `json:"servesUntil,omitempty" doc:"When that ends (registry_stale_max)"`
	}
}

func (a *api) health(context.Context, *struct{}) (*stateOutput, error) {
	out := &stateOutput{}
	out.Body.Status = "ok"
	return out, nil
}

// ready says no while the broker drains, and when nobody could be served: the
// registry is away, and nothing that is remembered stands in for it. A balancer
// that followed anything stricter would take all replicas out at once when the
// registry restarts.
func (a *api) ready(ctx context.Context, _ *struct{}) (*readyOutput, error) {
	if a.Ready != nil {
		if err := a.Ready(); err != nil {
			return nil, huma.NewError(http.StatusServiceUnavailable, err.Error())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	out := &readyOutput{}
	out.Body.Status = "ready"
	err := a.Registry.Pool().Ping(ctx)
	if err == nil {
		return out, nil
	}
	// The cause goes to the log only: the path needs no token.
	a.Log.Warn(eventNotReady, keyError, err)
	known := a.Registry.Stats()
	if a.Ready == nil || known.Known == 0 || !time.Now().Before(known.StandInUntil) {
		return nil, huma.NewError(http.StatusServiceUnavailable, "the registry does not answer")
	}
	out.Body.RegistryAwaySince, out.Body.ServesUntil = &known.Heard, &known.StandInUntil
	return out, nil
}
