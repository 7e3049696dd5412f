package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

var act = registry.Act{Actor: "ani"}

func newLogin(t testing.TB, r *registry.Registry, n registry.NewLogin) registry.Login {
	t.Helper()
	n.Actor = "ani"
	l, password, err := r.CreateLogin(t.Context(), n)
	require.NoError(t, err)
	require.Len(t, password.Reveal(), 43, "256 bits")
	require.Len(t, l.Verifiers, 1)
	return l
}

// actions are the newest activities, oldest first.
func actions(t testing.TB, r *registry.Registry, n int) (out []string) {
	t.Helper()
	acts, err := r.Activities(t.Context(), "", n)
	require.NoError(t, err)
	for i := len(acts) - 1; i >= 0; i-- {
		out = append(out, acts[i].Actor+" "+acts[i].Action+" "+acts[i].Message)
	}
	return out
}

func TestLoginsAreMadeOnce(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	l := newLogin(t, r, registry.NewLogin{Name: "report", TenantID: tn.ID, Kind: registry.ReadOnly, MaxClients: 3, PoolMode: "session"})
	got, err := r.LoginByName(t.Context(), tn.ID, "report")
	require.NoError(t, err)
	require.Equal(t, l, got)
	require.Equal(t, registry.ReadOnly, l.Kind)
	require.Equal(t, []string{"ani login.create report, readonly"}, actions(t, r, 1))

	for _, c := range []struct {
		name string
		n    registry.NewLogin
		is   error
	}{
		{"again", registry.NewLogin{Name: "report", TenantID: tn.ID}, registry.ErrConflict},
		{"as a service", registry.NewLogin{Name: "report"}, registry.ErrLoginTaken},
		{"no name", registry.NewLogin{TenantID: tn.ID}, registry.ErrInvalid},
		{"odd role", registry.NewLogin{Name: "x", Kind: "root"}, registry.ErrInvalid},
		{"odd console", registry.NewLogin{Name: "x", Console: "all"}, registry.ErrInvalid},
		{"console of a tenant's", registry.NewLogin{Name: "x", TenantID: tn.ID, Console: "stats"}, registry.ErrInvalid},
		{"odd mode", registry.NewLogin{Name: "x", PoolMode: "odd"}, registry.ErrInvalid},
		{"negative", registry.NewLogin{Name: "x", MaxClients: -1}, registry.ErrInvalid},
		{"no such tenant", registry.NewLogin{Name: "x", TenantID: "00000000-0000-0000-0000-000000000000"}, registry.ErrNotFound},
	} {
		_, password, err := r.CreateLogin(t.Context(), c.n)
		require.ErrorIs(t, err, c.is, c.name)
		require.Empty(t, password)
	}
	own := verifier(t)
	with, password, err := r.CreateLogin(t.Context(), registry.NewLogin{Name: "with", Verifier: own, Console: "stats"})
	require.NoError(t, err)
	require.Empty(t, password)
	require.Equal(t, []string{own}, with.Verifiers)
	require.Equal(t, "stats", with.Console)
}

func TestRotationLeavesTheOldPasswordItsOverlap(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	l := newLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID})
	rotated, password, err := r.RotateLogin(t.Context(), l.ID, time.Hour, act)
	require.NoError(t, err)
	require.NotEmpty(t, password)
	require.Len(t, rotated.Verifiers, 2)
	require.Equal(t, l.Verifiers[0], rotated.Verifiers[1])
	require.Equal(t, []string{"ani login.rotate app, passwords before end in 1h0m0s"}, actions(t, r, 1))

	reset, again, err := r.ResetPassword(t.Context(), tn.ID, "", act)
	require.NoError(t, err)
	require.NotEqual(t, password, again)
	require.Len(t, reset.Verifiers, 1, "those before end at once")
	_, _, err = r.ResetPassword(t.Context(), tn.ID, "nobody", act)
	require.ErrorIs(t, err, registry.ErrNotFound)
	_, _, err = r.RotateLogin(t.Context(), l.ID, -time.Hour, act)
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, _, err = r.RotateLogin(t.Context(), "00000000-0000-0000-0000-000000000000", 0, act)
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestDisabledAndExpiredLoginsAreUnknown(t *testing.T) {
	t.Parallel()
	admin, inst, _, _ := instance(t, nil)
	tn := served(t, admin, "a")
	l, err := admin.LoginByName(t.Context(), tn.ID, "app")
	require.NoError(t, err)
	soon(t, "it is known", func() bool { return lookup(t, inst, "a", "app").Route != nil })
	unknown := func() bool {
		e := lookup(t, inst, "a", "app")
		return e.Login == nil && e.Route == nil && !e.Granted
	}

	off, err := admin.SetLoginDisabled(t.Context(), l.ID, true, act)
	require.NoError(t, err)
	require.NotNil(t, off.DisabledAt)
	soon(t, "disabled", unknown)
	before := actions(t, admin, 1)
	_, err = admin.SetLoginDisabled(t.Context(), l.ID, true, act)
	require.NoError(t, err)
	require.Equal(t, before, actions(t, admin, 1), "nothing is written")
	on, err := admin.SetLoginDisabled(t.Context(), l.ID, false, act)
	require.NoError(t, err)
	require.Nil(t, on.DisabledAt)
	soon(t, "enabled", func() bool { return !unknown() })

	_, err = admin.SetLoginExpiry(t.Context(), l.ID, time.Now().Add(time.Second), act)
	require.NoError(t, err)
	soon(t, "the change is seen", func() bool {
		e := lookup(t, inst, "a", "app")
		return e.Login == nil || e.Login.ExpiresAt != nil
	})
	soon(t, "expired, though nothing changes at that time", unknown)
	never, err := admin.SetLoginExpiry(t.Context(), l.ID, time.Time{}, act)
	require.NoError(t, err)
	require.Nil(t, never.ExpiresAt)
	soon(t, "known again", func() bool { return !unknown() })
	require.NoError(t, admin.DeleteLogin(t.Context(), l.ID, act))
	soon(t, "deleted", unknown)
	require.ErrorIs(t, admin.DeleteLogin(t.Context(), l.ID, act), registry.ErrNotFound)
	_, err = admin.LoginByID(t.Context(), l.ID)
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.Equal(t, []string{
		"ani login.disable app", "ani login.enable app",
		"ani login.expire app, never", "ani login.delete app",
	}, append(actions(t, admin, 5)[0:2], actions(t, admin, 2)...))
}

func TestServiceLoginsGrants(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	a, b := served(t, r, "a"), served(t, r, "b")
	api := newLogin(t, r, registry.NewLogin{Name: "journal-api"})
	err := r.GrantSlugs(t.Context(), api.ID, []string{"a", "nowhere"}, act)
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.ErrorContains(t, err, `"nowhere"`)
	grants := func() []registry.Grant {
		found, err := r.Grants(t.Context(), api.ID)
		require.NoError(t, err)
		return found
	}
	require.Empty(t, grants(), "all or none")

	require.NoError(t, r.GrantSlugs(t.Context(), api.ID, []string{"b", "a"}, act))
	require.NoError(t, r.GrantSlugs(t.Context(), api.ID, []string{"a"}, act), "once more")
	require.NoError(t, r.Grant(t.Context(), api.ID, "", act))
	require.Equal(t, []registry.Grant{{}, {TenantID: a.ID, Slug: "a"}, {TenantID: b.ID, Slug: "b"}}, grants())
	require.Equal(t, []string{"ani login.grant journal-api", "ani login.grant journal-api", "ani login.grant journal-api, all tenants"}, actions(t, r, 3))
	require.NoError(t, r.RevokeSlugs(t.Context(), api.ID, []string{"a"}, act))
	require.NoError(t, r.Revoke(t.Context(), api.ID, "", act))
	require.Equal(t, []registry.Grant{{TenantID: b.ID, Slug: "b"}}, grants())
	e, err := r.LookupFresh(t.Context(), "a", "journal-api")
	require.NoError(t, err)
	require.False(t, e.Granted)

	own, err := r.LoginByName(t.Context(), a.ID, "app")
	require.NoError(t, err)
	require.ErrorIs(t, r.GrantSlugs(t.Context(), own.ID, []string{"b"}, act), registry.ErrInvalid)
	require.ErrorIs(t, r.Grant(t.Context(), "00000000-0000-0000-0000-000000000000", "", act), registry.ErrNotFound)
}

func TestLoginsByPage(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	for _, slug := range []string{"a", "b", "c"} {
		served(t, r, slug) // each with a login "app"
	}
	newLogin(t, r, registry.NewLogin{Name: "a/pi"})
	names := []string{}
	f := registry.LoginFilter{Limit: 1}
	for {
		page, err := r.FindLogins(t.Context(), f)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		names = append(names, page[0].Name)
		f.After = page[0].Cursor()
	}
	require.Equal(t, []string{"a/pi", "app", "app", "app"}, names)
	services, err := r.FindLogins(t.Context(), registry.LoginFilter{Service: true, Text: "PI"})
	require.NoError(t, err)
	require.Len(t, services, 1)
	_, err = r.FindLogins(t.Context(), registry.LoginFilter{After: "nonsense"})
	require.ErrorIs(t, err, registry.ErrInvalid)
}

func TestActivitiesByPage(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	a, b := served(t, r, "a"), create(t, r, "b")
	all, err := r.FindActivities(t.Context(), registry.ActivityFilter{})
	require.NoError(t, err)
	var walked []registry.Activity
	f := registry.ActivityFilter{Limit: 2}
	for {
		page, err := r.FindActivities(t.Context(), f)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		walked = append(walked, page...)
		f.Before = page[len(page)-1].ID
	}
	require.Equal(t, all, walked)
	count := func(f registry.ActivityFilter) int {
		found, err := r.FindActivities(t.Context(), f)
		require.NoError(t, err)
		return len(found)
	}
	require.Equal(t, 3, count(registry.ActivityFilter{Action: "tenant"}))
	require.Equal(t, 2, count(registry.ActivityFilter{Action: "tenant.create"}))
	require.Equal(t, 1, count(registry.ActivityFilter{Action: "tenant", TenantID: b.ID}))
	require.Equal(t, 3, count(registry.ActivityFilter{ServerID: a.ServerID}), "the server's own, and both placements")
}
