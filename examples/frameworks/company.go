package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/tenancy"
)

// accounts are the codes of the company's accounts.
func accounts(ctx context.Context) ([]string, error) {
	rows, err := tenancy.FromContext(ctx).Pool().Query(ctx, "SELECT code FROM accounts ORDER BY code")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// contact is a customer of the company's.
type contact struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

var errNoName = &tenancy.Problem{Status: 422, Title: "A contact has a name"}

// addContact stores a customer.
func addContact(ctx context.Context, c contact) (contact, error) {
	if c.Name == "" {
		return c, errNoName
	}
	err := tenancy.FromContext(ctx).Pool().QueryRow(ctx,
		"INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', $1) RETURNING id", c.Name).Scan(&c.ID)
	return c, err
}

// notJSON is for a body that cannot be read.
func notJSON(err error) error {
	return errors.Join(&tenancy.Problem{Status: 400, Title: "The body is not JSON"}, err)
}
