package service

import (
	"net/http"
	"strconv"
	"time"

	"github.com/nusajournal/dermaga/tenancy"
)

// tenants is the middleware that gives a request its company's database. Its
// problems come out as pages for those who read pages.
func (s *service) tenants() func(http.Handler) http.Handler {
	return s.Tenants.Middleware(tenancy.OnError(func(w http.ResponseWriter, r *http.Request, p *tenancy.Problem) {
		s.refusePage(w, r, p)
	}))
}

// ofBroker explains what is left of errors: those of the way to the database.
func ofBroker(err error) (status int, detail string, header http.Header) {
	p := tenancy.ProblemOf(err)
	if p.RetryAfter > 0 {
		seconds := (p.RetryAfter + time.Second - 1) / time.Second
		header = http.Header{"Retry-After": {strconv.Itoa(int(seconds))}}
	}
	return p.Status, p.Error(), header
}
