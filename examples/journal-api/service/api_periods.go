package service

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

type periods struct {
	Periods []ledger.Period `json:"periods"`
}

func (s *service) addPeriods(ops huma.API) {
	get(s, ops, "/periods", "List the accounting periods",
		func(ctx context.Context, b *ledger.Books, _ *InCompany) (periods, error) {
			list, err := b.Periods(ctx)
			return periods{list}, err
		})

	type inYear struct {
		InCompany
		Body struct {
			Year int `json:"year" minimum:"1990" maximum:"2200" example:"2027"`
		}
	}
	post(s, ops, "/periods", "Open an accounting year with its twelve months", http.StatusCreated, ledger.Accountant,
		func(ctx context.Context, b *ledger.Books, in *inYear) (periods, error) {
			if err := b.OpenYear(ctx, in.Body.Year); err != nil {
				return periods{}, err
			}
			list, err := b.Periods(ctx)
			return periods{list}, err
		})

	type in struct {
		InCompany
		ID int64 `path:"id" minimum:"1"`
	}
	post(s, ops, "/periods/{id}/close", "Close a period", http.StatusOK, ledger.Accountant,
		func(ctx context.Context, b *ledger.Books, in *in) (ledger.Period, error) {
			return b.ClosePeriod(ctx, in.ID)
		})
	post(s, ops, "/periods/{id}/open", "Open a closed period again", http.StatusOK, ledger.Accountant,
		func(ctx context.Context, b *ledger.Books, in *in) (ledger.Period, error) {
			return b.ReopenPeriod(ctx, in.ID)
		})
}
