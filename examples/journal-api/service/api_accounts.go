package service

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

type accounts struct {
	Accounts []ledger.Account `json:"accounts"`
}

func (s *service) addAccounts(ops huma.API) {
	get(s, ops, "/accounts", "List the chart of accounts",
		func(ctx context.Context, b *ledger.Books, _ *InCompany) (accounts, error) {
			list, err := b.Accounts(ctx)
			return accounts{list}, err
		})

	type in struct {
		InCompany
		Body ledger.NewAccount
	}
	post(s, ops, "/accounts", "Add an account", http.StatusCreated, ledger.Accountant,
		func(ctx context.Context, b *ledger.Books, in *in) (ledger.Account, error) {
			return b.AddAccount(ctx, in.Body)
		})
}
