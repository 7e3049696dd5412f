package service

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

type taxes struct {
	Date  ledger.Date   `json:"date" format:"date"`
	Price ledger.Amount `json:"price"`
	Taxes []ledger.Tax  `json:"taxes"`
}

func (s *service) addTaxes(ops huma.API) {
	type in struct {
		InCompany
		Date  ledger.Date `query:"date" format:"date" doc:"the rates of this day (default: today)"`
		Price string      `query:"price" pattern:"^[0-9]{1,14}([.][0-9]{1,2})?$" default:"1000000" doc:"before tax"`
	}
	get(s, ops, "/taxes", "List the taxes with their rates of a day, and what they make of a price",
		func(ctx context.Context, b *ledger.Books, in *in) (taxes, error) {
			out := taxes{Date: in.Date}
			if out.Date.IsZero() {
				out.Date = ledger.Today()
			}
			var err error
			if out.Price, err = ledger.ParseAmount(in.Price); err != nil {
				return out, err
			}
			out.Taxes, err = b.Taxes(ctx, out.Date, out.Price)
			return out, err
		})
}
