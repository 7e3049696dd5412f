package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func (a *api) addActivities(ops huma.API) {
	huma.Register(ops, operation("list-activities", http.MethodGet, "/v1/activities", "List what was done, newest first",
		registry.Viewer, http.StatusNotFound), a.listActivities)
	huma.Register(ops, operation("list-tenant-activities", http.MethodGet, "/v1/tenants/{slug}/activities", "List what was done to a tenant, newest first",
		registry.Viewer, http.StatusNotFound),
		func(ctx context.Context, in *tenantActivitiesInput) (*activitiesOutput, error) {
			return a.listActivities(ctx, &activitiesInput{Page: in.Page, Tenant: in.Slug, Action: in.Action})
		})
}

type activitiesInput struct {
	Page
	Tenant string `query:"tenant" doc:"Slug: only what was done to this tenant"`
	Server string `query:"server" doc:"Name: only what was done to this server"`
	Action string `query:"action" doc:"Only this action, or those of this noun" example:"tenant"`
}

type tenantActivitiesInput struct {
	Page
	Slug   string `path:"slug"`
	Action string `query:"action" doc:"Only this action, or those of this noun" example:"provision"`
}

type activitiesOutput struct{ Body client.Activities }

func (a *api) listActivities(ctx context.Context, in *activitiesInput) (*activitiesOutput, error) {
	f := registry.ActivityFilter{Action: in.Action, Limit: in.Limit + 1}
	if in.Cursor != "" {
		before, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || before < 1 {
			return nil, huma.NewError(http.StatusUnprocessableEntity, "cursor is not the next of a page before")
		}
		f.Before = before
	}
	if in.Tenant != "" {
		t, err := a.find(ctx, in.Tenant)
		if err != nil {
			return nil, err
		}
		f.TenantID = t.ID
	}
	if in.Server != "" {
		s, err := a.Registry.ServerByName(ctx, in.Server)
		if err != nil {
			return nil, a.refuse("list-activities", err)
		}
		f.ServerID = s.ID
	}
	found, err := a.Registry.FindActivities(ctx, f)
	if err != nil {
		return nil, a.refuse("list-activities", err)
	}
	found, more := cut(found, in.Limit)
	out := &activitiesOutput{Body: client.Activities{Activities: []client.Activity{}}}
	if err := a.activityBodies(ctx, found, &out.Body.Activities); err != nil {
		return nil, a.refuse("list-activities", err)
	}
	if more {
		out.Body.Next = strconv.FormatInt(found[len(found)-1].ID, 10)
	}
	return out, nil
}

// activityBodies puts names in the place of ids.
func (a *api) activityBodies(ctx context.Context, found []registry.Activity, to *[]client.Activity) error {
	ids := make([]string, 0, len(found))
	for _, f := range found {
		ids = append(ids, f.TenantID)
	}
	slugs, err := a.slugs(ctx, ids)
	if err != nil {
		return err
	}
	servers, err := a.serverNames(ctx)
	if err != nil {
		return err
	}
	for _, f := range found {
		*to = append(*to, client.Activity{
			ID: f.ID, At: f.At, Tenant: slugs[f.TenantID], Server: servers[f.ServerID],
			Actor: f.Actor, Action: f.Action, Outcome: f.Outcome, Message: f.Message,
		})
	}
	return nil
}

// slugs finds the slugs of tenants. One that is purged has none any more.
func (a *api) slugs(ctx context.Context, ids []string) (map[string]string, error) {
	var known []string
	out := map[string]string{}
	for _, id := range ids {
		if _, met := out[id]; id != "" && !met {
			out[id] = ""
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return out, nil
	}
	states, err := a.Registry.TenantStates(ctx, known)
	for id, s := range states {
		out[id] = s.Slug
	}
	return out, err
}
