package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/registry"
)

// rank orders the roles: each may do what the ones below it may.
var rank = map[registry.TokenRole]int{registry.Viewer: 1, registry.Operator: 2, registry.Admin: 3}

type tokenKey struct{}

// authenticate asks for a token wherever tenants are spoken of, also on paths
// that do not exist: whoever has none learns nothing.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || text == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="dermaga"`)
			writeProblem(w, http.StatusUnauthorized, "a token is needed: send the header Authorization: Bearer TOKEN")
			return
		}
		token, err := a.Registry.TokenRole(r.Context(), registry.Secret(strings.TrimSpace(text)))
		switch {
		case errors.Is(err, registry.ErrNotFound):
			w.Header().Set("WWW-Authenticate", `Bearer realm="dermaga", error="invalid_token"`)
			writeProblem(w, http.StatusUnauthorized, "the token is unknown or has expired")
			return
		case err != nil:
			status, detail, _ := explain(err)
			writeProblem(w, status, detail)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
	})
}

// open paths tell nothing about tenants.
func (a *api) open(path string) bool {
	switch path {
	case "/health", "/ready", "/openapi.json", "/openapi.yaml":
		return true
	case "/metrics":
		return a.OpenMetrics
	}
	return false
}

const needs = "role" // key of an operation's metadata: the registry.TokenRole it asks for

// allow refuses operations that the token's role does not cover.
func (a *api) allow(ops huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		needed, restricted := ctx.Operation().Metadata[needs].(registry.TokenRole)
		token, _ := ctx.Context().Value(tokenKey{}).(registry.Token)
		if restricted && rank[token.Role] < rank[needed] {
			_ = huma.WriteErr(ops, ctx, http.StatusForbidden, "this needs a token with the role "+string(needed)+"; yours is "+string(token.Role))
			return
		}
		next(ctx)
	}
}

// demand refuses what only some uses of an operation need a higher role for.
func demand(ctx context.Context, needed registry.TokenRole, what string) error {
	token, _ := ctx.Value(tokenKey{}).(registry.Token)
	if rank[token.Role] >= rank[needed] {
		return nil
	}
	return huma.NewError(http.StatusForbidden, what+" needs a token with the role "+string(needed)+"; yours is "+string(token.Role))
}

// actor is who the activities name.
func actor(ctx context.Context) string {
	token, _ := ctx.Value(tokenKey{}).(registry.Token)
	return "token " + token.Name
}
