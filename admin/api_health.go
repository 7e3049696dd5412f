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

func (a *api) health(context.Context, *struct{}) (*stateOutput, error) {
	out := &stateOutput{}
	out.Body.Status = "ok"
	return out, nil
}

func (a *api) ready(ctx context.Context, _ *struct{}) (*stateOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	// The causes go to the log only: the path needs no token.
	if err := a.Registry.Pool().Ping(ctx); err != nil {
		a.Log.Warn(eventNotReady, keyError, err)
		return nil, huma.NewError(http.StatusServiceUnavailable, "the registry does not answer")
	}
	if a.Ready != nil {
		if err := a.Ready(); err != nil {
			return nil, huma.NewError(http.StatusServiceUnavailable, err.Error())
		}
	}
	out := &stateOutput{}
	out.Body.Status = "ready"
	return out, nil
}
