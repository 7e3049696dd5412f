package admin_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

// row is a tenant without a database: enough for logins.
func (s *site) row(slug string) registry.Tenant {
	s.Helper()
	if _, err := s.cfg.Registry.ServerByName(s.Context(), "nowhere"); err != nil {
		_, err := s.cfg.Registry.AddServer(s.Context(), registry.NewServer{
			Name: "nowhere", Host: "127.0.0.1", Port: 1, SSLMode: "disable", AdminRole: "x", AdminPassword: "x", Actor: "test",
		})
		require.NoError(s, err)
	}
	t, err := s.cfg.Registry.CreateTenant(s.Context(), registry.NewTenant{Slug: slug, Actor: "test"})
	require.NoError(s, err)
	return t
}

// knows reports whether the broker would let the login try its password there.
func (s *site) knows(slug, login string) bool {
	s.Helper()
	e, err := s.cfg.Registry.LookupFresh(s.Context(), slug, login)
	require.NoError(s, err)
	return e.Login != nil && e.Granted && len(e.Login.Verifiers) > 0
}

func TestServiceLoginReachesWhatItIsGranted(t *testing.T) {
	s := newSite(t)
	for _, slug := range []string{"pt-a", "pt-b", "pt-c"} {
		s.row(slug)
	}
	boss := s.client(registry.Admin)
	made, err := boss.CreateLogin(t.Context(), client.NewLogin{Name: "journal-api", Service: true, Grants: []string{"pt-a", "pt-b"}, Console: "stats"})
	require.NoError(t, err)
	require.Equal(t, []string{"pt-a", "pt-b"}, made.Grants)
	require.Equal(t, "stats", made.Console)
	require.Equal(t, "app", made.Role)
	require.Equal(t, "postgresql://journal-api:"+made.Password+"@broker:6432/{slug}", made.URL)
	require.NotContains(t, s.log.String(), made.Password)
	require.True(t, s.knows("pt-a", "journal-api"))
	require.False(t, s.knows("pt-c", "journal-api"))

	changed, err := boss.Grant(t.Context(), "journal-api", client.Tenancies{Tenants: []string{"all"}})
	require.NoError(t, err)
	require.Equal(t, []string{"all", "pt-a", "pt-b"}, changed.Login.Grants)
	require.True(t, s.knows("pt-c", "journal-api"))
	changed, err = boss.Revoke(t.Context(), "journal-api", client.Tenancies{Tenants: []string{"all"}})
	require.NoError(t, err)
	require.Empty(t, changed.Login.Grants)
	require.False(t, s.knows("pt-a", "journal-api"))

	_, err = boss.Grant(t.Context(), "journal-api", client.Tenancies{Tenants: []string{"pt-a", "nobody"}})
	require.Equal(t, http.StatusNotFound, client.StatusOf(err))
	require.ErrorContains(t, err, "there is no tenant nobody")
	require.False(t, s.knows("pt-a", "journal-api"), "all or nothing")
	_, err = boss.CreateLogin(t.Context(), client.NewLogin{Name: "half", Service: true, Grants: []string{"pt-a", "nobody"}})
	require.Equal(t, http.StatusNotFound, client.StatusOf(err))
	_, err = boss.Login(t.Context(), "half", "")
	require.Equal(t, http.StatusNotFound, client.StatusOf(err))
}

func TestLoginIsRotatedDisabledEnabledAndDeleted(t *testing.T) {
	s := newSite(t)
	tenant := s.row("pt-a")
	s.addBroker("b:1", false)
	operator := s.client(registry.Operator)
	made, err := operator.CreateLogin(t.Context(), client.NewLogin{Name: "report", Tenant: "pt-a", Role: "readonly"})
	require.NoError(t, err)
	require.Equal(t, "pt-a", made.Tenant)

	rotated, err := operator.RotateLogin(t.Context(), "report", "pt-a", client.Rotation{OverlapSeconds: 60})
	require.NoError(t, err)
	require.NotEqual(t, made.Password, rotated.Password)
	u, err := url.Parse(rotated.URL)
	require.NoError(t, err)
	require.Equal(t, "/pt-a", u.Path)
	l, err := s.cfg.Registry.LoginByName(t.Context(), tenant.ID, "report")
	require.NoError(t, err)
	require.Len(t, l.Verifiers, 2, "the one before still works")
	_, err = operator.RotateLogin(t.Context(), "report", "pt-a", client.Rotation{})
	require.NoError(t, err)
	l, err = s.cfg.Registry.LoginByName(t.Context(), tenant.ID, "report")
	require.NoError(t, err)
	require.Len(t, l.Verifiers, 1)

	changed, err := operator.DisableLogin(t.Context(), "report", "pt-a")
	require.NoError(t, err)
	require.NotNil(t, changed.Login.DisabledAt)
	require.True(t, changed.Instances[0].Acknowledged)
	require.False(t, s.knows("pt-a", "report"))
	changed, err = operator.EnableLogin(t.Context(), "report", "pt-a")
	require.NoError(t, err)
	require.Nil(t, changed.Login.DisabledAt)
	require.True(t, s.knows("pt-a", "report"))

	changed, err = operator.DeleteLogin(t.Context(), "report", "pt-a")
	require.NoError(t, err)
	require.Equal(t, "report", changed.Login.Name)
	require.False(t, s.knows("pt-a", "report"))
	_, err = operator.DeleteLogin(t.Context(), "report", "pt-a")
	require.ErrorContains(t, err, "tenant pt-a has no login report")
}

func TestPasswordOfATenantIsResetAtOnce(t *testing.T) {
	s := newSite(t)
	s.addServer()
	tenant := s.made("forgot")
	l, err := s.client(registry.Operator).ResetPassword(t.Context(), "forgot", client.Rotation{})
	require.NoError(t, err)
	require.Equal(t, "app", l.Name)
	found, err := s.cfg.Registry.LoginByName(t.Context(), tenant.ID, "app")
	require.NoError(t, err)
	require.Len(t, found.Verifiers, 1)
}

func TestLoginsAreListedByTenantAndSort(t *testing.T) {
	s := newSite(t)
	s.row("pt-a")
	s.row("pt-b")
	boss := s.client(registry.Admin)
	for _, l := range []client.NewLogin{
		{Name: "one", Tenant: "pt-a"}, {Name: "two", Tenant: "pt-a"}, {Name: "one", Tenant: "pt-b"}, {Name: "api", Service: true},
	} {
		_, err := boss.CreateLogin(t.Context(), l)
		require.NoError(t, err)
	}
	names := func(f client.LoginFilter) (out []string) {
		found, err := boss.Logins(t.Context(), f)
		require.NoError(t, err)
		for _, l := range found {
			out = append(out, l.Name+" "+l.Tenant)
		}
		return out
	}
	require.ElementsMatch(t, []string{"one pt-a", "two pt-a", "one pt-b", "api "}, names(client.LoginFilter{}))
	require.ElementsMatch(t, []string{"one pt-a", "two pt-a"}, names(client.LoginFilter{Tenant: "pt-a"}))
	require.Equal(t, []string{"api "}, names(client.LoginFilter{Service: true}))
	require.ElementsMatch(t, []string{"one pt-a", "one pt-b"}, names(client.LoginFilter{Text: "on"}))
}

func TestLoginThatCannotBeIsRefusedWithTheReason(t *testing.T) {
	s := newSite(t)
	s.row("pt-a")
	past := time.Now().Add(-time.Hour).Format(time.RFC3339)
	for body, text := range map[string]string{
		`{"name":"x"}`: "belongs to a tenant or is a service",
		`{"name":"x","tenant":"pt-a","service":true}`:                    "belongs to a tenant or is a service",
		`{"name":"x","tenant":"pt-a","grants":["all"]}`:                  "takes no grants",
		`{"name":"x","service":true,"role":"owner"}`:                     "a service login would own nothing",
		`{"name":"x","tenant":"pt-a","role":"king"}`:                     "want app, readonly or owner",
		`{"name":"x","tenant":"pt-a","console":"all"}`:                   "want stats or admin",
		`{"name":"","tenant":"pt-a"}`:                                    "needs a name",
		`{"name":"x","tenant":"pt-a","expiresAt":"` + past + `"}`:        "has passed",
		`{"name":"x","tenant":"pt-a","role":"king","poolMode":"sundry"}`: `"errors":[{`,
	} {
		s.requireProblem(s.ask(registry.Admin, http.MethodPost, "/v1/logins", body), http.StatusUnprocessableEntity, text)
	}
	resp := s.ask(registry.Admin, http.MethodPost, "/v1/logins", `{"name":"x","tenant":"nobody"}`)
	s.requireProblem(resp, http.StatusNotFound, "there is no tenant nobody")
	require.Equal(t, http.StatusCreated, s.ask(registry.Admin, http.MethodPost, "/v1/logins", `{"name":"x","tenant":"pt-a"}`).StatusCode)
	s.requireProblem(s.ask(registry.Admin, http.MethodPost, "/v1/logins", `{"name":"x","tenant":"pt-a"}`), http.StatusConflict, "exists already")
	s.requireProblem(s.ask(registry.Admin, http.MethodPost, "/v1/logins", `{"name":"x","service":true}`), http.StatusConflict, "login name is taken")
}

func TestLoginForReplicationTakesAnAdmin(t *testing.T) {
	s := newSite(t)
	s.row("pt-a")
	const body = `{"name":"cdc","tenant":"pt-a","replication":true}`
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/logins", body), http.StatusForbidden, "needs a token with the role admin")
	made, err := s.client(registry.Admin).CreateLogin(t.Context(), client.NewLogin{Name: "cdc", Tenant: "pt-a", Replication: true})
	require.NoError(t, err)
	require.True(t, made.Replication)
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/logins/cdc/rotate?tenant=pt-a", ""), http.StatusForbidden, "a login that may replicate")
	e, err := s.cfg.Registry.LookupFresh(t.Context(), "pt-a", "cdc")
	require.NoError(t, err)
	require.True(t, e.Login.Replication)
}

func TestOwnerLoginTakesAnAdminAndLeadsToARoleOfItsTenant(t *testing.T) {
	s := newSite(t)
	s.addServer()
	tenant := s.made("pt-a")
	const body = `{"name":"migrate","tenant":"pt-a","role":"owner"}`
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/logins", body), http.StatusForbidden, "a login with the role owner needs a token with the role admin")
	for _, name := range []string{"migrate", "schema"} {
		made, err := s.client(registry.Admin).CreateLogin(t.Context(), client.NewLogin{Name: name, Tenant: "pt-a", Role: "owner"})
		require.NoError(t, err)
		require.Equal(t, "owner", made.Role)
		e, err := s.cfg.Registry.LookupFresh(t.Context(), "pt-a", name)
		require.NoError(t, err)
		require.NoError(t, e.Route.CredentialErr)
		require.Equal(t, registry.RoleName(tenant.ID, registry.Owner, 1), e.Route.Role)
	}
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/logins/migrate/rotate?tenant=pt-a", ""), http.StatusForbidden, "the role owner")

	s.row("pt-b")
	resp := s.ask(registry.Admin, http.MethodPost, "/v1/logins", `{"name":"migrate","tenant":"pt-b","role":"owner"}`)
	s.requireProblem(resp, http.StatusConflict, "tenant pt-b is PROVISIONING")
}
