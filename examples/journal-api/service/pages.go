package service

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

//go:embed templates static
var files embed.FS

// templates are the pages by name, each with the layout around it.
type templates map[string]*template.Template

func parseTemplates() templates {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"figure": figure, "cell": cell, "date": date, "percent": percent, "lower": strings.ToLower,
		"tab":    func(p page, path, text string) tab { return tab{"/" + p.Tenant + path, text, under(p.Here, path)} },
		"result": func(text string, a ledger.Amount) result { return result{text, a} },
	}).ParseFS(files, "templates/layout.html", "templates/parts.html"))
	all := templates{}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for _, name := range names {
		page := template.Must(template.Must(layout.Clone()).ParseFS(files, name))
		all[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return all
}

// A page is what the layout shows around its Data.
type page struct {
	Title  string
	Local  string // the title in Indonesian
	Tenant string // empty outside of a company
	Email  string
	Here   string // the path below the company, for the menu
	Data   any
}

// A tab of the menu.
type tab struct {
	Href, Text string
	Here       bool
}

func under(here, path string) bool { return here == path || strings.HasPrefix(here, path+"/") }

// A result is a subtotal of a statement.
type result struct {
	Text   string
	Amount ledger.Amount
}

// render answers with a page. It is complete before its first byte goes out.
func (s *service) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Email = sessionOf(r.Context()).Email
	if p.Tenant != "" {
		p.Here = strings.TrimPrefix(r.URL.Path, "/"+p.Tenant)
	}
	var out bytes.Buffer
	if err := s.pages[name].Execute(&out, p); err != nil {
		s.Log.Error("page_failed", "page", name, "error", err)
		http.Error(w, "unexpected error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client may be gone
}

func (s *service) failPage(w http.ResponseWriter, r *http.Request, status int, detail string) {
	tenant, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !sessionOf(r.Context()).May(tenant) {
		tenant = ""
	}
	s.render(w, r, status, "fault", page{Title: titleOf(status), Tenant: tenant, Data: detail})
}

// titleOf is a status in words for people.
func titleOf(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "Not found"
	case status == http.StatusForbidden:
		return "Not allowed"
	case status < http.StatusInternalServerError:
		return "Not possible"
	}
	return "Not available"
}

// pageRoutes returns the handler of everything that people look at.
func (s *service) pageRoutes() http.Handler {
	mux := http.NewServeMux()
	static := http.FileServerFS(files)
	mux.HandleFunc("GET /static/style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		static.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", s.companies)
	mux.HandleFunc("GET /auth/login", s.loginForm)
	mux.HandleFunc("POST /auth/login", s.loginSubmit)
	mux.HandleFunc("POST /auth/logout", s.logout)
	toEntries := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/"+r.PathValue("tenantSlug")+"/entries", http.StatusSeeOther)
	}
	mux.HandleFunc("GET /{tenantSlug}", toEntries)
	mux.HandleFunc("GET /{tenantSlug}/{$}", toEntries)

	show := func(path string, page pageOf) { mux.HandleFunc("GET /{tenantSlug}"+path, s.page(ledger.Viewer, page)) }
	act := func(path string, need ledger.Role, page pageOf) {
		mux.HandleFunc("POST /{tenantSlug}"+path, s.page(need, page))
	}
	show("/accounts", s.accountsPage)
	show("/periods", s.periodsPage)
	act("/periods", ledger.Accountant, s.openYear)
	act("/periods/{id}/close", ledger.Accountant, s.closePeriod)
	act("/periods/{id}/open", ledger.Accountant, s.reopenPeriod)
	show("/taxes", s.taxesPage)
	show("/entries", s.entriesPage)
	show("/entries/new", s.newEntryPage)
	act("/entries", ledger.Staff, s.submitEntry)
	show("/entries/{id}", s.entryPage)
	act("/entries/{id}/post", ledger.Accountant, s.postEntry)
	act("/entries/{id}/reverse", ledger.Accountant, s.reverseEntry)
	act("/entries/{id}/discard", ledger.Staff, s.discardEntry)
	show("/reports/trial-balance", s.trialBalancePage)
	show("/reports/ledger", s.ledgerPage)
	show("/reports/profit-and-loss", s.profitAndLossPage)
	show("/reports/balance-sheet", s.balanceSheetPage)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.failPage(w, r, http.StatusNotFound, "There is no page here.")
	})
	return mux
}

// maxForm bounds a form, in bytes.
const maxForm = 256 << 10

// pageOf is a page of one company's books. What it returns as an error is shown
// as one.
type pageOf func(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error

func (s *service) page(need ledger.Role, show pageOf) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			s.failPage(w, r, http.StatusBadRequest, "The form cannot be read.")
			return
		}
		books, tenant, err := s.books(r.Context(), need)
		if err == nil {
			err = show(w, r, books, tenant)
		}
		if err != nil {
			s.refusePage(w, r, err)
		}
	}
}

// companies lists where the session may go, or goes there if it is only one.
func (s *service) companies(w http.ResponseWriter, r *http.Request) {
	tenants := sessionOf(r.Context()).Tenants
	if len(tenants) == 1 {
		http.Redirect(w, r, "/"+tenants[0]+"/entries", http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusOK, "companies", page{Title: "Companies", Local: "Perusahaan", Data: tenants})
}
