package service

import "net/http"

// secure sets the headers that keep a page from being framed, from running or
// loading anything but our style sheet, and a company's figures from being cached.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept")
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses what a browser sends for another site's sake, as seen from
// Sec-Fetch-Site or Origin. Programs, which send neither, carry no cookie.
func (s *service) sameOrigin(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, http.StatusForbidden, "the request comes from another site")
	}))
	return guard.Handler(next)
}
