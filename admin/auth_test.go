package admin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

func TestNothingAboutTenantsIsToldWithoutAToken(t *testing.T) {
	s := newSite(t)
	s.tokens["unknown"] = "drm_nobody-has-ever-made-this-token"
	for _, path := range []string{"/v1/tenants", "/v1/tenants/demo", "/v1/stats", "/v1/nonsense", "/nonsense", "/"} {
		for _, role := range []registry.TokenRole{"", "unknown"} {
			resp := s.ask(role, http.MethodGet, path, "")
			require.Contains(t, resp.Header.Get("WWW-Authenticate"), "Bearer")
			s.requireProblem(resp, http.StatusUnauthorized, "token")
		}
	}
	require.NotContains(t, s.log.String(), s.tokens["unknown"].Reveal())
}

func TestViewerMayLookAndNotCreate(t *testing.T) {
	s := newSite(t)
	require.Equal(t, http.StatusOK, s.ask(registry.Viewer, http.MethodGet, "/v1/tenants", "").StatusCode)
	resp := s.ask(registry.Viewer, http.MethodPost, "/v1/tenants", `{"slug":"a"}`)
	s.requireProblem(resp, http.StatusForbidden, "needs a token with the role operator; yours is viewer")
}

func TestAnswersAboutTenantsAreNotCached(t *testing.T) {
	s := newSite(t)
	require.Equal(t, "no-store", s.ask(registry.Viewer, http.MethodGet, "/v1/tenants", "").Header.Get("Cache-Control"))
}

func TestMetricsNeedATokenOnAPublicAddress(t *testing.T) {
	s := newSite(t)
	require.Equal(t, http.StatusOK, s.ask("", http.MethodGet, "/metrics", "").StatusCode)
	s.cfg.OpenMetrics = false
	s.open()
	s.requireProblem(s.ask("", http.MethodGet, "/metrics", ""), http.StatusUnauthorized, "token")
	require.Equal(t, http.StatusOK, s.ask(registry.Viewer, http.MethodGet, "/metrics", "").StatusCode)
}
