package service

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

// perPage is how many entries a page of them has.
const perPage = 50

type entriesData struct {
	Entries  []ledger.Entry
	Statuses []string
	Status   string
	Before   int64
}

func (s *service) entriesPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	data := entriesData{Statuses: []string{"DRAFT", "POSTED", "REVERSED"}}
	if status := r.FormValue("status"); slices.Contains(data.Statuses, status) {
		data.Status = status
	}
	before, _ := strconv.ParseInt(r.FormValue("before"), 10, 64) // nonsense: the first page
	var err error
	data.Entries, err = b.Entries(r.Context(), ledger.EntryFilter{Status: data.Status, Before: max(before, 0), Limit: perPage})
	if err != nil {
		return err
	}
	if n := len(data.Entries); n == perPage {
		data.Before = data.Entries[n-1].ID
	}
	s.render(w, r, http.StatusOK, "entries", page{Title: "Journal", Local: "Jurnal umum", Tenant: tenant, Data: data})
	return nil
}

type entryData struct {
	ledger.Entry
	Difference ledger.Amount
	Documents  []string
	Today      ledger.Date
	MayPost    bool
	MayDraft   bool
}

func (s *service) entryPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	e, err := b.Entry(r.Context(), id)
	if err != nil {
		return err
	}
	title := e.Number
	if title == "" {
		title = "Draft " + strconv.FormatInt(e.ID, 10)
	}
	who := b.Actor()
	s.render(w, r, http.StatusOK, "entry", page{Title: title, Local: "Jurnal", Tenant: tenant, Data: entryData{
		e, e.Debit - e.Credit, ledger.Documents, ledger.Today(), who.May(ledger.Accountant), who.May(ledger.Staff),
	}})
	return nil
}

func (s *service) postEntry(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if _, err := b.Post(r.Context(), id, r.FormValue("document")); err != nil {
		return err
	}
	return toEntry(w, r, tenant, id)
}

func (s *service) reverseEntry(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	on, err := formDate(r, "date", ledger.Date{})
	if err != nil {
		return err
	}
	e, err := b.Reverse(r.Context(), id, on, "")
	if err != nil {
		return err
	}
	return toEntry(w, r, tenant, e.ID)
}

func (s *service) discardEntry(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := b.Discard(r.Context(), id); err != nil {
		return err
	}
	http.Redirect(w, r, "/"+tenant+"/entries", http.StatusSeeOther)
	return nil
}

func toEntry(w http.ResponseWriter, r *http.Request, tenant string, id int64) error {
	http.Redirect(w, r, "/"+tenant+"/entries/"+strconv.FormatInt(id, 10), http.StatusSeeOther)
	return nil
}
