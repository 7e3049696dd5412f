package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
	"github.com/nusajournal/dermaga/tenancy"
)

// An answer is an error that has its status already.
type answer struct {
	status int
	detail string
}

func (a *answer) Error() string { return a.detail }

// explain finds status and words for an error. Those of the database about what
// was asked of it go out unchanged: they name the entry and the sums, or the
// period. What remains is the broker's, or ours.
func explain(err error) (status int, detail string, header http.Header) {
	var own *answer
	if errors.As(err, &own) {
		return own.status, own.detail, nil
	}
	var refusal *ledger.Refusal
	if errors.As(err, &refusal) {
		if refusal.Conflict {
			return http.StatusConflict, refusal.Text, nil
		}
		return http.StatusUnprocessableEntity, refusal.Text, nil
	}
	if errors.Is(err, ledger.ErrNotFound) {
		return http.StatusNotFound, err.Error(), nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == pgerrcode.UniqueViolation || pg.Code == pgerrcode.IntegrityConstraintViolation:
			return http.StatusConflict, pg.Message, nil
		case pgerrcode.IsIntegrityConstraintViolation(pg.Code) || pgerrcode.IsDataException(pg.Code):
			return http.StatusUnprocessableEntity, pg.Message, nil
		case pg.Code == pgerrcode.SerializationFailure || pg.Code == pgerrcode.DeadlockDetected:
			return http.StatusServiceUnavailable, "too many changes at the same time: try again", http.Header{"Retry-After": {"1"}}
		}
	}
	return ofBroker(err)
}

// refuse is explain for the API's operations. It logs what only an operator can
// mend.
func (s *service) refuse(ctx context.Context, err error) error {
	status, detail, header := explain(err)
	s.report(ctx, status, err)
	return huma.ErrorWithHeaders(huma.NewError(status, detail), header)
}

// refusePage is explain for the pages, and for what comes before any operation.
func (s *service) refusePage(w http.ResponseWriter, r *http.Request, err error) {
	status, detail, header := explain(err)
	s.report(r.Context(), status, err)
	for name, values := range header {
		w.Header()[name] = values
	}
	s.fail(w, r, status, detail)
}

func (s *service) report(ctx context.Context, status int, err error) {
	if status >= http.StatusInternalServerError && ctx.Err() == nil {
		slug := ""
		if t := tenancy.FromContext(ctx); t != nil {
			slug = t.Slug()
		}
		s.Log.Error("request_failed", "tenant", slug, "error", err)
	}
}

// fail answers outside of any operation: as a page for those who read pages.
func (s *service) fail(w http.ResponseWriter, r *http.Request, status int, detail string) {
	if wantsPage(r) {
		s.failPage(w, r, status, detail)
		return
	}
	writeProblem(w, status, detail)
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{ // the client may be gone
		Status: status, Title: http.StatusText(status), Detail: detail,
	})
}

// problemsOf is mux with problems for the paths and methods that it does not have.
func problemsOf(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		status, detail := http.StatusNotFound, "there is no "+r.URL.Path
		if allowed := methodsOf(mux, r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			status, detail = http.StatusMethodNotAllowed, r.Method+" is not possible here"
		}
		writeProblem(w, status, detail)
	})
}

// methodsOf are the methods that the path of r is there for.
func methodsOf(mux *http.ServeMux, r *http.Request) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}
