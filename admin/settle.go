package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

const (
	// acknowledgeLimit is how long brokers get to act on a change. Who is late is
	// fenced.
	acknowledgeLimit = time.Second
	// settleLimit bounds everything that follows a change of status, which goes on
	// when the caller has gone.
	settleLimit = 30 * time.Second
)

// settle waits for the brokers to act on the tenant's status, and brings its
// server to it: closed if nobody may be served, else open. Of two who change the
// status at once the later one wins here as well: each looks again after it has
// acted.
func (a *api) settle(ctx context.Context, tenantID string) (client.Moved, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	var out client.Moved
	var err error
	if out.Instances, err = a.acknowledged(ctx); err != nil {
		return out, err
	}
	t, err := a.Registry.TenantByID(ctx, tenantID)
	for err == nil {
		out.Tenant, out.Fence = tenantBody(t), a.fence(ctx, t)
		before := fenced(t)
		if t, err = a.Registry.TenantByID(ctx, tenantID); err == nil && fenced(t) == before {
			return out, nil
		}
	}
	return out, err
}

// fenced reports whether nobody may reach the tenant's database.
func fenced(t registry.Tenant) bool {
	return t.Status == registry.Suspended || t.Status == registry.Deleted
}

// fence closes or opens the tenant's database. That a server does not answer is
// part of the answer, and no error: the status holds at the brokers, and the same
// request can be sent again.
func (a *api) fence(ctx context.Context, t registry.Tenant) client.Fence {
	out := client.Fence{Closed: fenced(t)}
	var err error
	if out.Closed {
		out.SessionsEnded, err = a.Fence.Close(ctx, t)
	} else {
		err = a.openFence(ctx, t)
	}
	act := registry.Activity{TenantID: t.ID, ServerID: t.ServerID, Actor: actor(ctx), Action: "tenant.unfence"}
	if out.Closed {
		act.Action, act.Message = "tenant.fence", fmt.Sprintf("%d session(s) ended at server %s", out.SessionsEnded, t.Server)
	}
	if err != nil {
		a.Log.Error(eventFence, keyTenant, t.Slug, keyServer, t.Server, keyError, err)
		out.Closed = !out.Closed
		out.Error = err.Error()
		act.Outcome, act.Message = "failed", err.Error()
	}
	if err := a.Registry.Record(ctx, act); err != nil {
		a.Log.Error(eventUnwritten, keyAction, act.Action, keyTenant, t.Slug, keyError, err)
	}
	return out
}

func (a *api) openFence(ctx context.Context, t registry.Tenant) error {
	plan, err := a.Registry.PlanByName(ctx, t.Plan)
	if err != nil {
		return fmt.Errorf("plan of tenant %s: %w", t.Slug, err)
	}
	return a.Fence.Open(ctx, t, provision.DatabaseLimit(plan, t.Overrides))
}

// acknowledged waits, for acknowledgeLimit at most, until the live brokers have
// acted on everything that was changed by now, and says which have.
func (a *api) acknowledged(ctx context.Context) ([]client.Instance, error) {
	change, err := a.Registry.LastChange(ctx)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, acknowledgeLimit)
	defer cancel()
	late, err := a.Registry.WaitSeen(wait, change)
	if err != nil {
		return nil, err
	}
	all, err := a.Registry.Instances(ctx)
	if err != nil {
		return nil, err
	}
	behind := map[string]bool{}
	for _, i := range late {
		behind[i.ID] = true
	}
	out := []client.Instance{}
	for _, i := range all {
		if i.Broker {
			out = append(out, client.Instance{
				ID: i.ID, PeerAddress: i.PeerAddress, Live: i.Live, Acknowledged: i.Live && !behind[i.ID],
			})
		}
	}
	return out, nil
}
