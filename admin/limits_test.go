package admin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func TestPlanAndLimitsAreChangedAndTakenBack(t *testing.T) {
	s := newSite(t)
	s.addServer()
	tenant := s.made("grown")
	operator := s.client(registry.Operator)
	five, mode, none, empty := 5, "session", 0, ""
	changed, err := operator.SetTenant(t.Context(), "grown", client.TenantChange{
		Plan: "BUSINESS", PoolSize: &five, MinPoolSize: &five, PoolMode: &mode, MaxClients: &five,
	})
	require.NoError(t, err)
	require.Equal(t, []any{"BUSINESS", 5, 5, "session", 5},
		[]any{changed.Plan, changed.PoolSize, changed.MinPoolSize, changed.PoolMode, changed.MaxClients})

	conn, err := s.around(tenant)
	require.NoError(t, err)
	var timeout string
	var limit int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'),
	  (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)`).Scan(&timeout, &limit))
	require.Equal(t, "1min", timeout)
	require.Equal(t, 8, limit, "five and what is being replaced")

	changed, err = operator.SetTenant(t.Context(), "grown", client.TenantChange{PoolSize: &none, MinPoolSize: &none, PoolMode: &empty})
	require.NoError(t, err)
	require.Equal(t, []any{"BUSINESS", 0, 0, "", 5},
		[]any{changed.Plan, changed.PoolSize, changed.MinPoolSize, changed.PoolMode, changed.MaxClients})

	resp := s.ask(registry.Operator, http.MethodPatch, "/v1/tenants/grown", `{"maxClients":null,"poolMode":null}`)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, registry.Overrides{}, s.tenant("grown").Overrides, "null takes back as zero does")
}

func TestTenantGetsSettingsOfItsOwn(t *testing.T) {
	s := newSite(t)
	s.addServer()
	s.made("own")
	operator := s.client(registry.Operator)
	changed, err := operator.SetTenant(t.Context(), "own", client.TenantChange{Settings: map[string]string{"query_timeout": "90s", "pin_idle_timeout": "off"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"query_timeout": "1m30s", "pin_idle_timeout": "off"}, changed.Settings)
	changed, err = operator.SetTenant(t.Context(), "own", client.TenantChange{Settings: map[string]string{"query_timeout": ""}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"pin_idle_timeout": "off"}, changed.Settings)
	s.requireProblem(s.ask(registry.Operator, http.MethodPatch, "/v1/tenants/own", `{"settings":{"query_timeout":"soon","max_pins":"1"}}`),
		http.StatusUnprocessableEntity, `want a duration of at least a millisecond`)
}

func TestLimitsThatAreNoneAreRefused(t *testing.T) {
	s := newSite(t)
	s.addServer()
	s.made("strict")
	for body, text := range map[string]string{
		`{"plan":"GOLD"}`:                   "want one of STARTER, BUSINESS, ENTERPRISE",
		`{"poolMode":"perhaps"}`:            "want one of auto, transaction, statement, session",
		`{"poolSize":1001}`:                 "want 1 to 1000",
		`{"poolSize":-1}`:                   "poolSize",
		`{"poolSize":2,"minPoolSize":3}`:    "pool size",
		`{"pool_size":2}`:                   "pool_size",
		`{"poolSize":9999,"poolMode":"oh"}`: `"errors":[{`,
	} {
		s.requireProblem(s.ask(registry.Operator, http.MethodPatch, "/v1/tenants/strict", body), http.StatusUnprocessableEntity, text)
	}
	require.Equal(t, registry.Overrides{}, s.tenant("strict").Overrides)
}
