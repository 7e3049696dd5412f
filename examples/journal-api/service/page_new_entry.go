package service

import (
	"net/http"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

// formLines is how many lines the form has. Entries with more come by the API.
const formLines = 6

// A formLine keeps what was typed, to be shown again beside what is wrong with it.
type formLine struct{ Account, Memo, Tax, Debit, Credit string }

type newEntryData struct {
	Date        string
	Description string
	Document    string
	Lines       []formLine
	Fault       string

	Accounts  []ledger.Account
	Taxes     []ledger.Tax
	Documents []string
	MayPost   bool
}

func (s *service) newEntryPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	return s.showNewEntry(w, r, b, tenant, http.StatusOK, newEntryData{
		Date: ledger.Today().String(), Lines: make([]formLine, formLines),
	})
}

func (s *service) showNewEntry(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string, status int, data newEntryData) error {
	var err error
	if data.Accounts, err = postable(r, b); err != nil {
		return err
	}
	on, err := ledger.ParseDate(data.Date)
	if err != nil {
		on = ledger.Today()
	}
	if data.Taxes, err = b.Taxes(r.Context(), on, 0); err != nil {
		return err
	}
	data.Documents, data.MayPost = ledger.Documents, b.Actor().May(ledger.Accountant)
	s.render(w, r, status, "new_entry", page{Title: "New entry", Local: "Jurnal baru", Tenant: tenant, Data: data})
	return nil
}

// submitEntry drafts what was typed, and posts it if that button was pressed.
// What the books refuse is shown above the form, with all that was typed.
func (s *service) submitEntry(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	data := typedEntry(r)
	e, err := data.entry()
	if err == nil {
		e.Post = r.FormValue("do") == "post"
		var added ledger.Entry
		if added, err = addEntry(r.Context(), b, e); err == nil {
			return toEntry(w, r, tenant, added.ID)
		}
	}
	status, detail, _ := explain(err)
	if status != http.StatusUnprocessableEntity {
		return err
	}
	data.Fault = detail
	return s.showNewEntry(w, r, b, tenant, status, data)
}

func typedEntry(r *http.Request) newEntryData {
	at := func(name string, i int) string {
		if values := r.PostForm[name]; i < len(values) {
			return values[i]
		}
		return ""
	}
	data := newEntryData{
		Date: at("date", 0), Description: at("description", 0), Document: at("document", 0),
		Lines: make([]formLine, formLines),
	}
	for i := range data.Lines {
		data.Lines[i] = formLine{at("account", i), at("memo", i), at("tax", i), at("debit", i), at("credit", i)}
	}
	return data
}

// entry reads the lines that have anything on them.
func (d newEntryData) entry() (e newEntry, err error) {
	if e.Date, err = ledger.ParseDate(d.Date); err != nil {
		return e, &answer{http.StatusUnprocessableEntity, err.Error()}
	}
	e.Description, e.Document = d.Description, d.Document
	for _, l := range d.Lines {
		if l == (formLine{}) {
			continue
		}
		line := ledger.DraftLine{Account: l.Account, Memo: l.Memo, Tax: l.Tax}
		if line.Debit, err = readFigure(l.Debit); err != nil {
			return e, err
		}
		if line.Credit, err = readFigure(l.Credit); err != nil {
			return e, err
		}
		e.Lines = append(e.Lines, line)
	}
	return e, nil
}
