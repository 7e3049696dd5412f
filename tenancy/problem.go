package tenancy

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Problem is an answer in the form of RFC 9457, application/problem+json. It says
// nothing that its reader may not know: neither the broker's address nor a login.
type Problem struct {
	Type   string `json:"type,omitempty"` // "": about:blank
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// RetryAfter is when it makes sense to ask again, in whole seconds; 0: unknown.
	RetryAfter time.Duration `json:"-"`

	err error
}

// Error makes a Problem an error.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Unwrap is the error that p tells of, for the log.
func (p *Problem) Unwrap() error { return p.err }

// ServeHTTP answers with p.
func (p *Problem) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	b, err := json.Marshal(p)
	if err != nil { // it has texts and a number only
		panic(err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(b)
}

// WriteError answers with what err means, for a handler whose query has failed: a
// tenant may be suspended while a request runs. What says nothing of the tenant
// becomes 500; its words stay out of the answer. From 500 on they are for slog's
// default logger: a warning if it passes by itself, else an error.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	p.log(r)
	p.ServeHTTP(w, r)
}

func (p *Problem) log(r *http.Request) {
	ctx := r.Context()
	if p.Status < http.StatusInternalServerError || errors.Is(ctx.Err(), context.Canceled) { // nobody is left to serve
		return
	}
	level := slog.LevelError
	if p.RetryAfter > 0 {
		level = slog.LevelWarn
	}
	about := []any{"status", p.Status, "error", p.err}
	if t := FromContext(ctx); t != nil {
		about = append(about, "tenant", t.Slug())
	}
	slog.Log(ctx, level, "request_failed", about...)
}

// Reasons of the broker's, in the field Routine of an error (docs/errors.md).
const (
	reasonUnknown      = "tenant_unknown"
	reasonSuspended    = "tenant_suspended"
	reasonProvisioning = "tenant_provisioning"
	reasonMigrating    = "tenant_migrating"
)

// transactionTimeout is PostgreSQL 17's, and the broker's with any.
const transactionTimeout = "25P04"

const (
	soon  = time.Second     // what a moment's load takes
	later = 5 * time.Second // a migration of one tenant, or a broker's restart
)

// ProblemOf says what err, of Get or of a query, means over HTTP: 404 no such
// tenant, 423 suspended, 503 being made or migrated, or the broker is away, 429 too
// many connections, 504 not in time, and 500 for what is no business of the tenant's.
// It never returns nil.
func ProblemOf(err error) *Problem {
	p := problemOf(err)
	if p.err == nil {
		p.err = err
	}
	return p
}

func problemOf(err error) *Problem {
	var told *Problem
	var said *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &told):
		again := *told
		return &again
	case errors.Is(err, ErrInvalidSlug):
		return &Problem{Status: http.StatusNotFound, Title: "Tenant not found", Detail: "The name is not that of a tenant."}
	case errors.As(err, &said):
		return ofBroker(said)
	case errors.Is(err, ErrClosed):
		return away("The service is shutting down.")
	case errors.Is(err, ErrOpenTimeout):
		return away("The database did not answer in time.")
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Status: http.StatusGatewayTimeout, Title: "Not in time", RetryAfter: later}
	case errors.As(err, &connect), errors.As(err, &network), lost(err):
		return away("The database does not answer.")
	}
	return internal()
}

// lost reports whether the connection of a query had ended before its answer, as
// when a broker dies. (io.EOF is none of pgx's: a handler has read a body.)
func lost(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, driver.ErrBadConn)
}

// ofBroker is for what the broker has said, or PostgreSQL behind it.
func ofBroker(e *pgconn.PgError) *Problem {
	switch e.Routine {
	case reasonUnknown:
		return &Problem{Status: http.StatusNotFound, Title: "Tenant not found"}
	case reasonSuspended:
		return &Problem{Status: http.StatusLocked, Title: "Tenant suspended"}
	case reasonProvisioning:
		return &Problem{Status: http.StatusServiceUnavailable, Title: "Tenant is being made", RetryAfter: later}
	case reasonMigrating:
		return &Problem{Status: http.StatusServiceUnavailable, Title: "Tenant is being migrated", RetryAfter: later}
	}
	switch {
	case e.Code == pgerrcode.InvalidCatalogName: // its database is gone, though the broker knows the tenant
		return internal()
	case e.Code == pgerrcode.TooManyConnections:
		return &Problem{Status: http.StatusTooManyRequests, Title: "Too many connections", RetryAfter: soon}
	case e.Code == pgerrcode.QueryCanceled, e.Code == pgerrcode.LockNotAvailable, e.Code == transactionTimeout:
		return &Problem{Status: http.StatusGatewayTimeout, Title: "Not in time", RetryAfter: soon}
	case pgerrcode.IsConnectionException(e.Code), strings.HasPrefix(e.Code, "57P"):
		return away("The database is not available for the moment.")
	}
	return internal()
}

func away(detail string) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Title: "Not available", Detail: detail, RetryAfter: later}
}

func internal() *Problem {
	return &Problem{Status: http.StatusInternalServerError, Title: http.StatusText(http.StatusInternalServerError)}
}
