package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func TestTenantIsCreatedListedAndShown(t *testing.T) {
	s := newSite(t)
	s.addServer()
	operator := s.client(registry.Operator)
	made, err := operator.CreateTenant(t.Context(), client.NewTenant{
		Slug: "api-made", Name: "PT Dibuat API", Plan: "BUSINESS", PoolSize: 3, PoolMode: "session", MaxClients: 30,
	})
	require.NoError(t, err)
	require.Equal(t, "api-made", made.Slug)
	require.Equal(t, "ACTIVE", made.Status)
	u, err := url.Parse(made.URL)
	require.NoError(t, err)
	require.Equal(t, "/api-made", u.Path)
	password, _ := u.User.Password()
	require.NotEmpty(t, password)
	require.NotContains(t, s.log.String(), password)

	viewer := s.client(registry.Viewer)
	list, err := viewer.Tenants(t.Context(), client.TenantFilter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	one, err := viewer.Tenant(t.Context(), "api-made")
	require.NoError(t, err)
	require.Equal(t, "PT Dibuat API", one.Name)
	require.Equal(t, "nusa_journal_api_made", one.Database)
	require.Equal(t, "local", one.Server)
	require.Equal(t, []any{3, "session", 30}, []any{one.PoolSize, one.PoolMode, one.MaxClients})
	require.Positive(t, one.SchemaVersion)

	log, err := viewer.Activities(t.Context(), "api-made", 5)
	require.NoError(t, err)
	require.Len(t, log, 5)
	require.Equal(t, "token test-operator", log[0].Actor)

	// The same slug again.
	_, err = operator.CreateTenant(t.Context(), client.NewTenant{Slug: "api-made"})
	require.Equal(t, http.StatusConflict, client.StatusOf(err))
	require.ErrorContains(t, err, "a tenant api-made exists already (ACTIVE)")
}

func TestFailedProvisioningTellsTheCauseAndKeepsTheSlug(t *testing.T) {
	s := newSite(t)
	s.addServer()
	// A server that refuses the admin.
	_, err := s.cfg.Registry.AddServer(t.Context(), registry.NewServer{
		Name: "local", Host: "127.0.0.1", Port: 1, SSLMode: "disable", ConnectionBudget: 90,
		AdminRole: "dermaga_admin", AdminPassword: "wrong", Actor: "test",
	})
	require.NoError(t, err)
	resp := s.ask(registry.Operator, http.MethodPost, "/v1/tenants", `{"slug":"unlucky"}`)
	s.requireProblem(resp, http.StatusInternalServerError, "provisioning failed at step roles")

	one, err := s.client(registry.Viewer).Tenant(t.Context(), "unlucky")
	require.NoError(t, err)
	require.Equal(t, "SUSPENDED", one.Status)
	require.Contains(t, one.StatusReason, "step roles")
	resp = s.ask(registry.Operator, http.MethodPost, "/v1/tenants", `{"slug":"unlucky"}`)
	s.requireProblem(resp, http.StatusConflict, "was never finished (provisioning failed at step roles")
}

func TestWithoutAServerNoTenantIsBegun(t *testing.T) {
	s := newSite(t)
	resp := s.ask(registry.Operator, http.MethodPost, "/v1/tenants", `{"slug":"nowhere"}`)
	s.requireProblem(resp, http.StatusServiceUnavailable, "no active server")
	list, err := s.client(registry.Viewer).Tenants(t.Context(), client.TenantFilter{})
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestBadRequestsSayWhatIsWrong(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		name, body string
		status     int
		detail     string
	}{
		{"broken JSON", `{"slug":`, http.StatusBadRequest, ""},
		{"no body", ``, http.StatusBadRequest, ""},
		{"no slug", `{"name":"x"}`, http.StatusUnprocessableEntity, "slug"},
		{"wrong type", `{"slug":"a","poolSize":"ten"}`, http.StatusUnprocessableEntity, "body.poolSize"},
		{"unknown field", `{"slug":"a","pool_size":3}`, http.StatusUnprocessableEntity, "pool_size"},
		{"empty slug", `{"slug":""}`, http.StatusUnprocessableEntity, "slug is empty"},
		{"capitals", `{"slug":"Nusa"}`, http.StatusUnprocessableEntity, "only a-z, 0-9 and - are allowed"},
		{"double hyphen", `{"slug":"a--b"}`, http.StatusUnprocessableEntity, "two hyphens may not follow each other"},
		{"reserved", `{"slug":"postgres"}`, http.StatusUnprocessableEntity, "reserved"},
		{"too long", `{"slug":"` + strings.Repeat("a", 50) + `"}`, http.StatusUnprocessableEntity, "at most 49"},
		{"unknown plan", `{"slug":"a","plan":"GOLD"}`, http.StatusUnprocessableEntity, "STARTER, BUSINESS, ENTERPRISE"},
		{"pool mode", `{"slug":"a","poolMode":"x"}`, http.StatusUnprocessableEntity, "auto, transaction, statement, session"},
		{"negative", `{"slug":"a","maxClients":-1}`, http.StatusUnprocessableEntity, "maxClients"},
		{"two faults", `{"slug":"A","plan":"GOLD"}`, http.StatusUnprocessableEntity, `"errors":[{`},
		{"too large", `{"slug":"a","name":"` + strings.Repeat("x", 70<<10) + `"}`, http.StatusRequestEntityTooLarge, "64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := s.ask(registry.Operator, http.MethodPost, "/v1/tenants", c.body)
			s.requireProblem(resp, c.status, c.detail)
		})
	}
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	s := newSite(t)
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/nonsense", ""), http.StatusNotFound, "there is no /v1/nonsense")
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/tenants/nobody", ""), http.StatusNotFound, "there is no tenant nobody")
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/tenants/nobody/activities", ""), http.StatusNotFound, "there is no tenant nobody")
	resp := s.ask(registry.Admin, http.MethodDelete, "/v1/tenants", "")
	require.Equal(t, "GET, HEAD, POST", resp.Header.Get("Allow"))
	s.requireProblem(resp, http.StatusMethodNotAllowed, "possible: GET, HEAD, POST")
	s.requireProblem(s.ask(registry.Viewer, http.MethodGet, "/v1/tenants?limit=x", ""), http.StatusUnprocessableEntity, "limit")
}
