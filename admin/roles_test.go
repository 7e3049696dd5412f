package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

// needed is the least role for each operation: a row that is missing here, or one
// that the API does not have, fails the test below.
var needed = map[string]registry.TokenRole{
	"GET /v1/tenants":                    registry.Viewer,
	"POST /v1/tenants":                   registry.Operator,
	"GET /v1/tenants/{slug}":             registry.Viewer,
	"PATCH /v1/tenants/{slug}":           registry.Operator,
	"DELETE /v1/tenants/{slug}":          registry.Admin,
	"POST /v1/tenants/{slug}/retry":      registry.Operator,
	"POST /v1/tenants/{slug}/suspend":    registry.Operator,
	"POST /v1/tenants/{slug}/resume":     registry.Operator,
	"POST /v1/tenants/{slug}/restore":    registry.Admin,
	"POST /v1/tenants/{slug}/password":   registry.Operator,
	"POST /v1/tenants/{slug}/disconnect": registry.Operator,
	"GET /v1/tenants/{slug}/activities":  registry.Viewer,
	"POST /v1/disconnect":                registry.Admin,
	"GET /v1/activities":                 registry.Viewer,
	"GET /v1/stats":                      registry.Viewer,
	"GET /v1/servers":                    registry.Viewer,
	"GET /v1/servers/{name}":             registry.Viewer,
	"GET /v1/logins":                     registry.Viewer,
	"POST /v1/logins":                    registry.Operator,
	"GET /v1/logins/{name}":              registry.Viewer,
	"DELETE /v1/logins/{name}":           registry.Operator,
	"POST /v1/logins/{name}/rotate":      registry.Operator,
	"POST /v1/logins/{name}/disable":     registry.Operator,
	"POST /v1/logins/{name}/enable":      registry.Operator,
	"POST /v1/logins/{name}/grant":       registry.Admin,
	"POST /v1/logins/{name}/revoke":      registry.Admin,
}

var roles = []registry.TokenRole{"", registry.Viewer, registry.Operator, registry.Admin}

func TestEachOperationAsksForItsRole(t *testing.T) {
	s := newSite(t)
	rank := map[registry.TokenRole]int{}
	for i, role := range roles {
		rank[role] = i
	}
	tried := 0
	for at, least := range needed {
		method, path, _ := strings.Cut(at, " ")
		path = strings.NewReplacer("{slug}", "nobody", "{name}", "nobody").Replace(path)
		body := ""
		if method == http.MethodPost || method == http.MethodPatch {
			body = `{"slug":"Not A Slug"}` // whoever is let in gets no further
		}
		for _, role := range roles {
			status := s.ask(role, method, path, body).StatusCode
			switch {
			case role == "":
				require.Equal(t, http.StatusUnauthorized, status, "%s without a token", at)
			case rank[role] < rank[least]:
				require.Equal(t, http.StatusForbidden, status, "%s as %s", at, role)
			default:
				require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusInternalServerError},
					status, "%s as %s", at, role)
			}
			tried++
		}
	}
	require.Equal(t, len(needed)*len(roles), tried)
}

func TestEveryOperationHasItsRoleInTheTest(t *testing.T) {
	s := newSite(t)
	var doc struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string
		}
	}
	require.NoError(t, json.NewDecoder(s.ask("", http.MethodGet, "/openapi.json", "").Body).Decode(&doc))
	var found []string
	for path, methods := range doc.Paths {
		for method, operation := range methods {
			at := strings.ToUpper(method) + " " + path
			if strings.HasPrefix(path, "/v1/") {
				found = append(found, at)
				require.NotEmpty(t, operation.Security, at)
			}
		}
	}
	var want []string
	for at := range needed {
		want = append(want, at)
	}
	require.ElementsMatch(t, want, found)
}

func TestServiceLoginsAreAnAdminsToChange(t *testing.T) {
	s := newSite(t)
	const make = `{"name":"everywhere","service":true,"grants":["all"]}`
	resp := s.ask(registry.Operator, http.MethodPost, "/v1/logins", make)
	s.requireProblem(resp, http.StatusForbidden, "changing a service login needs a token with the role admin; yours is operator")
	require.Equal(t, http.StatusCreated, s.ask(registry.Admin, http.MethodPost, "/v1/logins", make).StatusCode)
	for _, path := range []string{"/rotate", "/disable", "/enable"} {
		s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/logins/everywhere"+path, ""), http.StatusForbidden, "role admin")
	}
	s.requireProblem(s.ask(registry.Operator, http.MethodDelete, "/v1/logins/everywhere", ""), http.StatusForbidden, "role admin")
	require.Equal(t, http.StatusOK, s.ask(registry.Admin, http.MethodDelete, "/v1/logins/everywhere", "").StatusCode)
}

func TestRevokedTokenIsRefused(t *testing.T) {
	s := newSite(t)
	token, secret, err := s.cfg.Registry.IssueToken(t.Context(), registry.NewToken{Name: "gone", Role: registry.Viewer})
	require.NoError(t, err)
	s.tokens["gone"] = secret
	require.Equal(t, http.StatusOK, s.ask("gone", http.MethodGet, "/v1/tenants", "").StatusCode)
	require.NoError(t, s.cfg.Registry.RevokeToken(t.Context(), token.ID, registry.Act{Actor: "test"}))
	s.requireProblem(s.ask("gone", http.MethodGet, "/v1/tenants", ""), http.StatusUnauthorized, "token")
}
