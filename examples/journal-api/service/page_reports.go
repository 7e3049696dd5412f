package service

import (
	"net/http"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

// formDate is a date of the request's form, or fallback where it is empty.
func formDate(r *http.Request, name string, fallback ledger.Date) (ledger.Date, error) {
	text := r.FormValue(name)
	if text == "" {
		return fallback, nil
	}
	d, err := ledger.ParseDate(text)
	if err != nil {
		return d, &answer{http.StatusUnprocessableEntity, err.Error()}
	}
	return d, nil
}

// formRange has the defaults of the API's InRange.
func formRange(r *http.Request) (from, to ledger.Date, err error) {
	if to, err = formDate(r, "to", ledger.Today()); err != nil {
		return from, to, err
	}
	from, err = formDate(r, "from", ledger.Day(to.Year(), 1, 1))
	return from, to, err
}

func (s *service) trialBalancePage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	from, to, err := formRange(r)
	if err != nil {
		return err
	}
	t, err := b.TrialBalance(r.Context(), from, to)
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "trial_balance", page{Title: "Trial balance", Local: "Neraca saldo", Tenant: tenant, Data: t})
	return nil
}

type ledgerData struct {
	ledger.GeneralLedger
	Accounts []ledger.Account
}

// ledgerPage shows the first account that takes lines until one is chosen.
func (s *service) ledgerPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	from, to, err := formRange(r)
	if err != nil {
		return err
	}
	all, err := postable(r, b)
	if err != nil {
		return err
	}
	code := r.FormValue("account")
	if code == "" && len(all) > 0 {
		code = all[0].Code
	}
	g, err := b.GeneralLedger(r.Context(), code, from, to)
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "ledger", page{Title: "General ledger", Local: "Buku besar", Tenant: tenant, Data: ledgerData{g, all}})
	return nil
}

// postable are the accounts that take lines.
func postable(r *http.Request, b *ledger.Books) (out []ledger.Account, err error) {
	all, err := b.Accounts(r.Context())
	for _, a := range all {
		if a.Postable && a.Active {
			out = append(out, a)
		}
	}
	return out, err
}

func (s *service) profitAndLossPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	from, to, err := formRange(r)
	if err != nil {
		return err
	}
	p, err := b.ProfitAndLoss(r.Context(), from, to)
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "profit_and_loss", page{Title: "Profit and loss", Local: "Laporan laba rugi", Tenant: tenant, Data: p})
	return nil
}

func (s *service) balanceSheetPage(w http.ResponseWriter, r *http.Request, b *ledger.Books, tenant string) error {
	on, err := formDate(r, "date", ledger.Today())
	if err != nil {
		return err
	}
	sheet, err := b.BalanceSheet(r.Context(), on)
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "balance_sheet", page{Title: "Balance sheet", Local: "Laporan posisi keuangan", Tenant: tenant, Data: sheet})
	return nil
}
