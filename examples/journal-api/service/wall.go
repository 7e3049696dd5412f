package service

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nusajournal/dermaga/examples/journal-api/session"
)

// public is what can be seen without a session.
var public = map[string]bool{
	"/auth/login": true, "/auth/logout": true, "/health": true,
	"/openapi.json": true, "/openapi.yaml": true, "/static/style.css": true,
}

type sessionKey struct{}

// sessionOf returns the request's session: the zero Session at public addresses.
func sessionOf(ctx context.Context) session.Session {
	s, _ := ctx.Value(sessionKey{}).(session.Session)
	return s
}

// wall sends public requests to open, and those of a session that is good for the
// company in the path to inside. Whether a company exists is not told to others.
func (s *service) wall(open, inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if public[r.URL.Path] {
			open.ServeHTTP(w, r)
			return
		}
		who, err := s.Tokens.Check(s.token(r), time.Now())
		if err != nil {
			s.askForLogin(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, who))
		tenant, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case r.URL.Path == "/":
			open.ServeHTTP(w, r)
		case !who.May(tenant):
			s.fail(w, r, http.StatusForbidden, notYours)
		default:
			inside.ServeHTTP(w, r)
		}
	})
}

// cookieName has a prefix that browsers hold us to, where there is TLS: only this
// host over TLS can have set the cookie.
func (s *service) cookieName() string {
	if s.SecureCookie {
		return "__Host-journal"
	}
	return "journal"
}

func (s *service) cookie(token string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: s.cookieName(), Value: token, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.SecureCookie,
	}
}

// token is what the request carries: a bearer token, or else the cookie.
func (s *service) token(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return token
	}
	if c, err := r.Cookie(s.cookieName()); err == nil {
		return c.Value
	}
	return ""
}

func (s *service) askForLogin(w http.ResponseWriter, r *http.Request) {
	if wantsPage(r) {
		to := "/auth/login"
		if r.Method == http.MethodGet && r.URL.Path != "/" {
			to += "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="journal"`)
	s.fail(w, r, http.StatusUnauthorized, session.ErrToken.Error())
}
