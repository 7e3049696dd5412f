package service

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/nusajournal/dermaga/examples/journal-api/session"
	"github.com/nusajournal/dermaga/tenancy"
)

// Config is what the service works with.
type Config struct {
	Tenants *tenancy.Clients
	Users   *session.Users
	Tokens  *session.Tokens

	// SecureCookie makes browsers send the session over TLS only. False is for
	// trying it on this machine.
	SecureCookie bool

	Version string // for the OpenAPI document
	Log     *slog.Logger
}

type service struct {
	Config
	pages templates
}

// Handler returns the whole service.
func Handler(cfg Config) http.Handler {
	s := &service{cfg, parseTemplates()}
	api, pages := s.api(), s.pageRoutes()
	either := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wantsPage(r) {
			pages.ServeHTTP(w, withoutSuffix(r))
			return
		}
		api.ServeHTTP(w, r)
	})
	ofTenant := s.tenants()(either)
	return s.logged(secure(s.sameOrigin(s.wall(either, ofTenant))))
}

// wantsPage reports whether the request is a browser's: it asks for HTML, by its
// Accept header or by .html at the end of the path, or sends a form.
func wantsPage(r *http.Request) bool {
	if strings.HasSuffix(r.URL.Path, ".html") || strings.HasPrefix(r.URL.Path, "/static/") {
		return true
	}
	if r.Method == http.MethodPost {
		return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	}
	if strings.HasPrefix(r.URL.Path, "/openapi.") || r.URL.Path == "/health" {
		return false
	}
	// Browsers name HTML first and programs that take JSON do not.
	first, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	media, _, _ := strings.Cut(first, ";")
	return strings.TrimSpace(media) == "text/html"
}

// withoutSuffix is r with the address that .html was put behind.
func withoutSuffix(r *http.Request) *http.Request {
	if !strings.HasSuffix(r.URL.Path, ".html") {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimSuffix(r.URL.Path, ".html")
	r.URL.RawPath = ""
	return r
}
