package service

import (
	"net/http"
	"strconv"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

func (s *service) accountsPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	list, err := b.Accounts(r.Context())
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "accounts", page{Title: "Accounts", Local: "Bagan akun", Tenant: tenant, Data: list})
	return nil
}

type periodsData struct {
	Periods  []ledger.Period
	NextYear int
	MayClose bool
}

func (s *service) periodsPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	list, err := b.Periods(r.Context())
	if err != nil {
		return err
	}
	data := periodsData{Periods: list, NextYear: ledger.Today().Year(), MayClose: b.Actor().May(ledger.Accountant)}
	if len(list) > 0 {
		data.NextYear = list[0].Year + 1
	}
	s.render(w, r, http.StatusOK, "periods", page{Title: "Periods", Local: "Periode akuntansi", Tenant: tenant, Data: data})
	return nil
}

func (s *service) openYear(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	year, err := strconv.Atoi(r.FormValue("year"))
	if err != nil {
		return &answer{http.StatusUnprocessableEntity, "the year is not a number"}
	}
	if err := b.OpenYear(r.Context(), year); err != nil {
		return err
	}
	http.Redirect(w, r, "/"+tenant+"/periods", http.StatusSeeOther)
	return nil
}

func (s *service) closePeriod(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if _, err := b.ClosePeriod(r.Context(), id); err != nil {
		return err
	}
	http.Redirect(w, r, "/"+tenant+"/periods", http.StatusSeeOther)
	return nil
}

func (s *service) reopenPeriod(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if _, err := b.ReopenPeriod(r.Context(), id); err != nil {
		return err
	}
	http.Redirect(w, r, "/"+tenant+"/periods", http.StatusSeeOther)
	return nil
}

func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, &answer{http.StatusNotFound, "there is no such number"}
	}
	return id, nil
}

func (s *service) taxesPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	on, err := formDate(r, "date", ledger.Today())
	if err != nil {
		return err
	}
	price, err := readFigure(r.FormValue("price"))
	if err != nil {
		return err
	}
	if price == 0 {
		price = 1_000_000_00
	}
	list, err := b.Taxes(r.Context(), on, price)
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "taxes", page{Title: "Taxes", Local: "Pajak", Tenant: tenant, Data: taxes{on, price, list}})
	return nil
}
