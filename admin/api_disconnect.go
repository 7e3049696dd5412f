package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// errSilent: the instance was not heard from, or does not answer in time.
var errSilent = errors.New("the instance does not answer")

// defaultGrace is how long a running transaction may go on.
const defaultGrace = 10 * time.Second

func (a *api) addDisconnect(ops huma.API) {
	huma.Register(ops, operation("disconnect-tenant", http.MethodPost, "/v1/tenants/{slug}/disconnect",
		"End a tenant's clients; they may connect again", registry.Operator, http.StatusNotFound),
		func(ctx context.Context, in *disconnectInput) (*disconnectedOutput, error) {
			t, err := a.find(ctx, in.Slug)
			if err != nil {
				return nil, err
			}
			return a.disconnect(ctx, t.ID, value(in.Body))
		})
	huma.Register(ops, operation("disconnect-all", http.MethodPost, "/v1/disconnect",
		"End all clients of all tenants; they may connect again", registry.Admin),
		func(ctx context.Context, in *disconnectAllInput) (*disconnectedOutput, error) {
			return a.disconnect(ctx, "", value(in.Body))
		})
}

type disconnectInput struct {
	Slug string `path:"slug"`
	Body *client.Disconnection
}

type disconnectAllInput struct {
	Body *client.Disconnection
}

type disconnectedOutput struct{ Body client.Disconnected }

// disconnect tells every broker, and answers when the clients have gone.
func (a *api) disconnect(ctx context.Context, tenantID string, in client.Disconnection) (*disconnectedOutput, error) {
	grace := time.Duration(in.GraceSeconds) * time.Second
	if grace == 0 {
		grace = defaultGrace
	}
	instances, err := a.brokers(ctx)
	if err != nil {
		return nil, a.refuse("disconnect", err)
	}
	answers := askEach(ctx, instances, grace+peerLimit, func(ctx context.Context, i registry.Instance) (peer.Disconnected, error) {
		return a.Peers.Disconnect(ctx, i.PeerAddress, peer.Disconnect{Tenant: tenantID, Grace: grace})
	})
	out := client.Disconnected{Instances: []client.InstanceDisconnected{}}
	act := registry.Activity{TenantID: tenantID, Actor: actor(ctx), Action: "tenant.disconnect"}
	for n, i := range instances {
		one := client.InstanceDisconnected{ID: i.ID, Clients: answers[n].value.Clients}
		if err := answers[n].err; err != nil {
			one.Error = err.Error()
			act.Outcome = "failed"
			a.Log.Warn(eventNotTold, keyInstance, i.ID, keyError, err)
		}
		out.Clients += one.Clients
		out.Instances = append(out.Instances, one)
	}
	act.Message = fmt.Sprintf("%d client(s)", out.Clients)
	if err := a.Registry.Record(context.WithoutCancel(ctx), act); err != nil {
		a.Log.Error(eventUnwritten, keyAction, act.Action, keyError, err)
	}
	return &disconnectedOutput{Body: out}, nil
}
