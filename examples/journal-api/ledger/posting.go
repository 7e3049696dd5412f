package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Documents are the kinds of document that are counted, each from one every year:
// journal, cash in, cash out, invoice, bill.
var Documents = []string{"JU", "BKM", "BKK", "INV", "BILL"}

// Post gives a draft the next number of its kind of document (JU if none is
// named) and makes it count. From then on it never changes.
func (b *Books) Post(ctx context.Context, id int64, document string) (Entry, error) {
	err := b.change(ctx, func(tx pgx.Tx) error { return b.post(ctx, tx, id, document) })
	if err != nil {
		return Entry{}, err
	}
	return b.Entry(ctx, id)
}

// AddPosted is Add and Post as one: if it cannot be posted, nothing is there.
func (b *Books) AddPosted(ctx context.Context, d Draft, document string) (Entry, error) {
	var id int64
	err := b.change(ctx, func(tx pgx.Tx) (err error) {
		if id, err = b.add(ctx, tx, d); err != nil {
			return err
		}
		return b.post(ctx, tx, id, document)
	})
	if err != nil {
		return Entry{}, err
	}
	return b.Entry(ctx, id)
}

func (b *Books) post(ctx context.Context, tx pgx.Tx, id int64, document string) error {
	const (
		lock = `SELECT e.status, coalesce(e.number, ''), p.fiscal_year_id FROM journal_entries e
			JOIN periods p ON p.id = e.period_id WHERE e.id = $1 FOR UPDATE OF e`
		set = `UPDATE journal_entries SET status = 'POSTED', number = $2, posted_at = now() WHERE id = $1`
	)
	if document == "" {
		document = "JU"
	}
	if !slices.Contains(Documents, document) {
		return refuse("document %q is none of %v", shorten(document), Documents)
	}
	var status, number string
	var year int
	err := tx.QueryRow(ctx, lock, id).Scan(&status, &number, &year)
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound("entry %d", id)
	}
	if err != nil {
		return err
	}
	if status != "DRAFT" {
		return conflict("entry %d is %s already, as %s", id, status, number)
	}
	if number, err = nextNumber(ctx, tx, document, year); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, set, id, number); err != nil {
		return err
	}
	return b.note(ctx, tx, "POST", "journal_entry", id)
}

// nextNumber counts a document. The row that holds the count stays locked until
// the transaction ends, so that postings of one kind go one by one: this is the
// price of numbers without gaps, since what is rolled back is counted back.
func nextNumber(ctx context.Context, tx pgx.Tx, document string, year int) (string, error) {
	const count = `INSERT INTO document_numbers AS d (prefix, fiscal_year_id, last_no) VALUES ($1, $2, 1)
		ON CONFLICT (prefix, fiscal_year_id) DO UPDATE SET last_no = d.last_no + 1 RETURNING last_no`
	var n int
	if err := tx.QueryRow(ctx, count, document, year).Scan(&n); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%d/%06d", document, year, n), nil
}
