package tenancy

import "net/http"

// An Option changes what Middleware does.
type Option func(*middleware)

type middleware struct {
	clients *Clients
	source  source
	strip   bool
	skips   *http.ServeMux
	onError func(http.ResponseWriter, *http.Request, *Problem)
}

// alwaysSkipped need no tenant: who logs in or registers may not have one yet.
var alwaysSkipped = []string{"/auth/login", "/auth/register", "/health"}

// skipped marks the patterns of middleware.skips.
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
// does. Without FromPath it does nothing.
func StripPrefix() Option { return func(m *middleware) { m.strip = true } }

// Skip lets requests through without a tenant, beside those for /auth/login,
// /auth/register and /health. Patterns are those of http.ServeMux: /metrics is that
// path, /static/ all below it, "GET /{$}" the root when it is read.
func Skip(patterns ...string) Option {
	return func(m *middleware) {
		for _, p := range patterns {
			m.skips.Handle(p, skipped{})
		}
	}
}

// OnError answers instead of Problem.ServeHTTP, for a service with a form of its
// own for errors.
func OnError(answer func(w http.ResponseWriter, r *http.Request, p *Problem)) Option {
	return func(m *middleware) { m.onError = answer }
}

// Middleware gives each request its tenant (FromContext) and releases it when the
// handler returns, or answers with a problem. Whether the user of the request may
// use that tenant is the service's to decide. A wrong pattern of Skip panics, as
// http.ServeMux.Handle does.
func (c *Clients) Middleware(opts ...Option) func(http.Handler) http.Handler {
	m := &middleware{
		clients: c, source: fromPath, skips: http.NewServeMux(),
		onError: func(w http.ResponseWriter, r *http.Request, p *Problem) { p.ServeHTTP(w, r) },
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
	// What a mux would redirect, such as //health, is not skipped: the handlers may
	// take it for something else.
	if h, _ := m.skips.Handler(r); h == (skipped{}) {
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
