package service

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

func (s *service) addReports(ops huma.API) {
	get(s, ops, "/reports/trial-balance", "Trial balance of a time",
		func(ctx context.Context, b *ledger.Books, in *InRange) (ledger.TrialBalance, error) {
			from, to := in.days()
			return b.TrialBalance(ctx, from, to)
		})

	type inLedger struct {
		InRange
		Account string `query:"account" required:"true" pattern:"^[1-9]-[0-9]{4}$" example:"1-1100"`
	}
	get(s, ops, "/reports/ledger", "General ledger of an account, with its running balance",
		func(ctx context.Context, b *ledger.Books, in *inLedger) (ledger.GeneralLedger, error) {
			from, to := in.days()
			return b.GeneralLedger(ctx, in.Account, from, to)
		})

	get(s, ops, "/reports/profit-and-loss", "Profit and loss of a time",
		func(ctx context.Context, b *ledger.Books, in *InRange) (ledger.ProfitAndLoss, error) {
			from, to := in.days()
			return b.ProfitAndLoss(ctx, from, to)
		})

	type inDate struct {
		InCompany
		Date ledger.Date `query:"date" format:"date" doc:"at the end of this day (default: today)"`
	}
	get(s, ops, "/reports/balance-sheet", "Balance sheet of a day",
		func(ctx context.Context, b *ledger.Books, in *inDate) (ledger.BalanceSheet, error) {
			if in.Date.IsZero() {
				in.Date = ledger.Today()
			}
			return b.BalanceSheet(ctx, in.Date)
		})
}
