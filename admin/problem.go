package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

// causes is what a caller is told about an error, first match first. An empty
// detail means the error's own text.
var causes = []struct {
	is     error
	status int
	detail string
}{
	{errTenantServer, http.StatusBadGateway, ""},
	{registry.ErrInvalid, http.StatusUnprocessableEntity, ""},
	{registry.ErrNotFound, http.StatusNotFound, ""},
	{registry.ErrNoServer, http.StatusServiceUnavailable, "no active server has room for a tenant: start dermaga serve with DATABASE_URL, or make room"},
	{registry.ErrTransition, http.StatusConflict, ""},
	{provision.ErrRunning, http.StatusConflict, ""},
	{provision.ErrProvisioned, http.StatusConflict, ""},
	{provision.ErrOwnerNow, http.StatusConflict, ""},
	{registry.ErrLoginTaken, http.StatusConflict, ""},
	{registry.ErrKeyBusy, http.StatusConflict, ""},
	{registry.ErrKeyReused, http.StatusUnprocessableEntity, ""},
	{registry.ErrConflict, http.StatusConflict, ""},
	{registry.ErrUnavailable, http.StatusServiceUnavailable, "the registry does not answer: try again"},
	{context.Canceled, http.StatusServiceUnavailable, "cancelled: the caller left or the server is stopping"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "the registry does not answer in time: try again"},
}

// errTenantServer: it is the tenant's own server that does not do its part.
var errTenantServer = errors.New("the server of the tenant's database")

// explain finds the status and words for err.
func explain(err error) (status int, detail string, faults []error) {
	var failure *provision.Failure
	if errors.As(err, &failure) {
		detail := failure.Error() + "; the tenant is SUSPENDED, its activities tell the rest"
		return http.StatusInternalServerError, detail, nil
	}
	var invalid *provision.Invalid
	if errors.As(err, &invalid) {
		if len(invalid.Faults) > 1 {
			faults = invalid.Faults
		}
		return http.StatusUnprocessableEntity, err.Error(), faults
	}
	for _, c := range causes {
		if errors.Is(err, c.is) {
			if c.detail == "" {
				return c.status, err.Error(), nil
			}
			return c.status, c.detail, nil
		}
	}
	var answered *pgconn.PgError
	if !errors.As(err, &answered) { // nobody answered
		return http.StatusServiceUnavailable, "the registry does not answer: try again", nil
	}
	return http.StatusInternalServerError, "unexpected error; the log says more", nil
}

// refuse turns err into the answer of an operation, and logs what only an
// operator can mend.
func (a *api) refuse(what string, err error) error {
	status, detail, faults := explain(err)
	if status >= http.StatusInternalServerError {
		a.Log.Error(eventRefused, keyOperation, what, keyError, err)
	}
	return huma.NewError(status, detail, faults...)
}

// writeProblem answers outside of any operation.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{ // the client may be gone
		Status: status, Title: http.StatusText(status), Detail: detail,
	})
}

// route is mux with problems for the paths and methods that it does not have.
func route(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unmatched, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// The mux knows whether it is 404 or 405, and which methods there are.
		answer := &answerless{header: w.Header()}
		unmatched.ServeHTTP(answer, r)
		detail := "there is no " + r.URL.Path
		if answer.status == http.StatusMethodNotAllowed {
			detail = r.Method + " is not possible here; possible: " + w.Header().Get("Allow")
		}
		writeProblem(w, answer.status, detail)
	})
}

// answerless keeps a handler's status and headers and drops its body.
type answerless struct {
	header http.Header
	status int
}

func (a *answerless) Header() http.Header         { return a.header }
func (a *answerless) WriteHeader(status int)      { a.status = status }
func (a *answerless) Write(b []byte) (int, error) { return len(b), nil }
