package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

func (a *api) addStatus(ops huma.API) {
	move := func(id, summary string, role registry.TokenRole, do func(context.Context, registry.Tenant, registry.Act) error) {
		huma.Register(ops, operation(id+"-tenant", http.MethodPost, "/v1/tenants/{slug}/"+id, summary,
			role, http.StatusNotFound, http.StatusConflict),
			func(ctx context.Context, in *moveInput) (*movedOutput, error) {
				return a.move(ctx, id, in.Slug, value(in.Body).Reason, do)
			})
	}
	move("suspend", "End a tenant's clients and let none in", registry.Operator, a.suspend)
	move("resume", "Let a suspended tenant's clients in again", registry.Operator, a.resume)
	move("restore", "Make a deleted tenant a suspended one, within its grace period", registry.Admin, a.restore)
	huma.Register(ops, operation("delete-tenant", http.MethodDelete, "/v1/tenants/{slug}",
		"Make a tenant unknown to clients; its data stays for the grace period",
		registry.Admin, http.StatusNotFound, http.StatusConflict), a.deleteTenant)
}

type moveInput struct {
	Slug string `path:"slug"`
	Body *client.Reason
}

type movedOutput struct{ Body client.Moved }

// move changes a tenant's status with do, and answers when that is so everywhere,
// or who is late. A tenant that has the status already is settled again: the
// first time may not have reached everybody.
func (a *api) move(ctx context.Context, what, slug, reason string, do func(context.Context, registry.Tenant, registry.Act) error) (*movedOutput, error) {
	t, err := a.find(ctx, slug)
	if err != nil {
		return nil, err
	}
	// Whoever changed the tenant since we read it may have meant the opposite.
	if err := do(ctx, t, registry.Act{Actor: actor(ctx), Message: reason, Version: t.Version}); err != nil {
		return nil, a.refuse(what+"-tenant", err)
	}
	moved, err := a.settle(ctx, t.ID)
	if err != nil {
		return nil, a.refuse(what+"-tenant", err)
	}
	return &movedOutput{Body: moved}, nil
}

// busy is the refusal while somebody else works on the tenant.
func busy(t registry.Tenant) error {
	if t.Status != registry.Provisioning && t.Status != registry.Migrating {
		return nil
	}
	return fmt.Errorf("%w: tenant %s is %s: wait until that has ended (if its process died: dermaga tenant retry %s)",
		registry.ErrTransition, t.Slug, t.Status, t.Slug)
}

// deleted is the refusal where a tenant must be restored first.
func deleted(t registry.Tenant) error {
	if t.Status != registry.Deleted {
		return nil
	}
	return fmt.Errorf("%w: tenant %s is DELETED: dermaga tenant restore %s", registry.ErrTransition, t.Slug, t.Slug)
}

func (a *api) suspend(ctx context.Context, t registry.Tenant, act registry.Act) error {
	if t.Status == registry.Suspended {
		return nil
	}
	if err := busy(t); err != nil {
		return err
	}
	if err := deleted(t); err != nil { // which may become SUSPENDED: by restoring it
		return err
	}
	return a.Registry.SetStatus(ctx, t.ID, registry.Suspended, act)
}

// resume lifts the fence before anybody is told: the first client must not run
// into it.
func (a *api) resume(ctx context.Context, t registry.Tenant, act registry.Act) error {
	if t.Status == registry.Active {
		return nil
	}
	if err := busy(t); err != nil {
		return err
	}
	if err := deleted(t); err != nil {
		return err
	}
	if t.Status == registry.Suspended {
		finished, err := provision.Provisioned(ctx, a.Registry, t.ID)
		if err != nil {
			return err
		}
		if !finished {
			return fmt.Errorf("%w: tenant %s was never finished (%s): dermaga tenant retry %s",
				registry.ErrTransition, t.Slug, t.StatusReason, t.Slug)
		}
		if err := a.openFence(ctx, t); err != nil {
			return fmt.Errorf("not resumed: %w: %w", errTenantServer, err)
		}
	}
	err := a.Registry.SetStatus(ctx, t.ID, registry.Active, act)
	if err != nil && t.Status == registry.Suspended {
		if _, again := a.settle(ctx, t.ID); again != nil { // and close it, unless somebody else resumed it
			a.Log.Error(eventFence, keyTenant, t.Slug, keyError, again)
		}
	}
	return err
}

func (a *api) restore(ctx context.Context, t registry.Tenant, act registry.Act) error {
	_, err := a.Registry.RestoreTenant(ctx, t.ID, act)
	return err
}

type deleteInput struct {
	Slug         string `path:"slug"`
	Reason       string `query:"reason" maxLength:"500" doc:"For the activities"`
	GraceSeconds int64  `query:"graceSeconds" minimum:"0" maximum:"31536000" doc:"How long it can be restored; 0: seven days"`
}

func (a *api) deleteTenant(ctx context.Context, in *deleteInput) (*movedOutput, error) {
	grace := time.Duration(in.GraceSeconds) * time.Second
	return a.move(ctx, "delete", in.Slug, in.Reason, func(ctx context.Context, t registry.Tenant, act registry.Act) error {
		if t.Status == registry.Deleted {
			return nil
		}
		if err := busy(t); err != nil {
			return err
		}
		_, err := a.Registry.DeleteTenant(ctx, t.ID, grace, act)
		return err
	})
}
