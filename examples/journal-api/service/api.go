package service

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

// InCompany is what every address of a company begins with. The tenancy package
// has read it already: here it is for the OpenAPI document. (It and the ones below
// have exported names, since huma looks into no others that are embedded.)
type InCompany struct {
	Tenant string `path:"tenantSlug" doc:"slug of the company" example:"demo"`
}

type InEntry struct {
	InCompany
	ID int64 `path:"id" minimum:"1"`
}

// InRange is what reports over a time are asked with.
type InRange struct {
	InCompany
	From ledger.Date `query:"from" format:"date" doc:"first day (default: that of the current year)"`
	To   ledger.Date `query:"to" format:"date" doc:"last day, included (default: today)"`
}

// days are the range with its defaults.
func (r InRange) days() (from, to ledger.Date) {
	from, to = r.From, r.To
	if to.IsZero() {
		to = ledger.Today()
	}
	if from.IsZero() {
		from = ledger.Day(to.Year(), 1, 1)
	}
	return from, to
}

type reply[T any] struct{ Body T }

// api returns the handler of everything that answers in JSON.
func (s *service) api() http.Handler {
	mux := http.NewServeMux()
	doc := huma.DefaultConfig("Journal API", s.Version)
	doc.DocsPath = ""     // its page loads scripts from other hosts
	doc.SchemasPath = ""  // and no $schema links in answers
	doc.CreateHooks = nil // which these would add
	doc.Info.Description = "The books of companies that each have a database of their own behind Dermaga. " +
		"Amounts are strings of exact decimals, errors RFC 9457 problems."
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "from POST /auth/login"},
	}
	doc.Security = []map[string][]string{{"token": {}}}
	ops := humago.New(mux, doc)
	addHealth(ops)
	s.addLogin(ops)
	s.addAccounts(ops)
	s.addPeriods(ops)
	s.addEntries(ops)
	s.addTaxes(ops)
	s.addReports(ops)
	return problemsOf(mux)
}

// get registers an operation that reads, and post one that takes the role need: do
// gets the books of the request's company, for a user who has that role there.
func get[I, O any](s *service, ops huma.API, path, summary string, do func(context.Context, *ledger.Books, *I) (O, error)) {
	register(s, ops, http.MethodGet, path, summary, http.StatusOK, ledger.Viewer, do)
}

func post[I, O any](s *service, ops huma.API, path, summary string, status int, need ledger.Role, do func(context.Context, *ledger.Books, *I) (O, error)) {
	register(s, ops, http.MethodPost, path, summary, status, need, do)
}

func register[I, O any](s *service, ops huma.API, method, path, summary string, status int, need ledger.Role, do func(context.Context, *ledger.Books, *I) (O, error)) {
	op := huma.Operation{
		Method: method, Path: "/{tenantSlug}" + path, Summary: summary, DefaultStatus: status,
		OperationID: huma.GenerateOperationID(method, path, (*O)(nil)),
		Errors:      []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable},
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	huma.Register(ops, op, func(ctx context.Context, in *I) (*reply[O], error) {
		books, _, err := s.books(ctx, need)
		if err != nil {
			return nil, s.refuse(ctx, err)
		}
		out, err := do(ctx, books, in)
		if err != nil {
			return nil, s.refuse(ctx, err)
		}
		return &reply[O]{out}, nil
	})
}
