package tenancy

import (
	"net/http"
	"slices"
)

// An Option changes what Middleware does.
type Option func(*middleware)

type middleware struct {
	clients *Clients
	source  source
	strip   bool
	skips   []*http.ServeMux // one for each pattern: within one they must not overlap
	onError func(http.ResponseWriter, *http.Request, *Problem)
}

// alwaysSkipped need no tenant: who logs in or registers may not have one yet.
var alwaysSkipped = []string{"/auth/login", "/auth/register", "/health"}

// skipped is the handler of middleware.skips.
type skipped struct{}

func (skipped) ServeHTTP(http.ResponseWriter, *http.Request) {}

// FromPath takes the slug from the first segment of the path, as in
// /pt-media-nusa/accounts. That is the default.
func FromPath() Option { return func(m *middleware) { m.source = fromPath } }

// FromHost takes the slug from the host: of pt-media-nusa.example.com with the
// suffix example.com. Any port is left aside.
func FromHost(suffix string) Option { return func(m *middleware) { m.source = fromHost(suffix) } }

// FromHeader takes the slug from a header, which must stand there once. Only behind
// a proxy that sets it: else anybody chooses.
func FromHeader(name string) Option { return func(m *middleware) { m.source = fromHeader(name) } }

// StripPrefix has the handler see the path without the slug, as http.StripPrefix
// does. A redirect to a path that the handler makes of it has no slug either, those
// of http.ServeMux to a path with a slash at its end included. Without FromPath it
// does nothing.
func StripPrefix() Option { return func(m *middleware) { m.strip = true } }

// Skip lets requests through without a tenant, beside those for /auth/login,
// /auth/register and /health. Patterns are those of http.ServeMux: /metrics is that
// path, /static/ all below it, "GET /{$}" the root when it is read. They may
// overlap. What is no pattern panics, as it does in http.ServeMux.Handle.
func Skip(patterns ...string) Option {
	skips := make([]*http.ServeMux, len(patterns))
	for i, p := range patterns {
		skips[i] = http.NewServeMux()
		skips[i].Handle(p, skipped{})
	}
	return func(m *middleware) { m.skips = append(m.skips, skips...) }
}

// OnError answers instead of WriteError, for a service with a form or a log of its
// own for errors. The cause is behind errors.Unwrap.
func OnError(answer func(w http.ResponseWriter, r *http.Request, p *Problem)) Option {
	return func(m *middleware) { m.onError = answer }
}

// Middleware gives each request its tenant (FromContext) and releases it when the
// handler returns, or answers with a problem. Whether the user of the request may
// use that tenant is the service's to decide.
func (c *Clients) Middleware(opts ...Option) func(http.Handler) http.Handler {
	m := &middleware{
		clients: c, source: fromPath,
		onError: func(w http.ResponseWriter, r *http.Request, p *Problem) { WriteError(w, r, p) },
	}
	Skip(alwaysSkipped...)(m)
	for _, o := range opts {
		o(m)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(next, w, r) })
	}
}

func (m *middleware) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if m.skipped(r) {
		next.ServeHTTP(w, r)
		return
	}
	slug, rest := m.source(r)
	if slug == "" {
		m.onError(w, r, &Problem{Status: http.StatusNotFound, Title: "Tenant not found", Detail: "The request names no tenant."})
		return
	}
	t, err := m.clients.Get(r.Context(), slug)
	if err != nil {
		m.onError(w, r, ProblemOf(err))
		return
	}
	defer t.Release()
	if m.strip {
		r = rest
	}
	next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), t)))
}

// skipped reports whether r is to pass without a tenant. What a mux would redirect,
// such as //health, is not: the handlers may take it for something else.
func (m *middleware) skipped(r *http.Request) bool {
	return slices.ContainsFunc(m.skips, func(mux *http.ServeMux) bool {
		h, _ := mux.Handler(r)
		return h == skipped{}
	})
}
