package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Reverse posts on that day the opposite of a posted entry, and marks that one as
// reversed. The entry itself may lie in a closed period; the day must be in an
// open one. It returns the new entry.
func (b *Books) Reverse(ctx context.Context, id int64, on Date, description string) (Entry, error) {
	const (
		lock = `SELECT entry_date, status, coalesce(number, ''), reverses_id FROM journal_entries WHERE id = $1 FOR UPDATE`
		// The base is negative: sums over a tax's lines come out right.
		opposite = `SELECT account_id, credit, debit, coalesce(memo, ''), '', tax_rate_id, -tax_base
			FROM journal_lines WHERE entry_id = $1 ORDER BY line_no`
		mark = `UPDATE journal_entries SET status = 'REVERSED' WHERE id = $1`
	)
	var opposed int64
	err := b.change(ctx, func(tx pgx.Tx) error {
		var date Date
		var status, number string
		var reverses *int64
		err := tx.QueryRow(ctx, lock, id).Scan(&date, &status, &number, &reverses)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return notFound("entry %d", id)
		case err != nil:
			return err
		case status != "POSTED":
			return conflict("entry %d is %s: only a posted entry is reversed", id, status)
		case reverses != nil:
			return conflict("entry %d is itself a reversal: write a new entry instead", id)
		case on.IsZero():
			return refuse("a reversal needs a date")
		case on.Before(date):
			return refuse("entry %d is of %s: its reversal cannot be earlier", id, date)
		}
		if description == "" {
			description = "Pembalikan " + number
		}
		rows, _ := tx.Query(ctx, opposite, id) // its error comes out of the rows
		lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l line, err error) {
			err = row.Scan(&l.account, &l.debit, &l.credit, &l.memo, &l.tax, &l.rate, &l.base)
			return l, err
		})
		if err != nil {
			return err
		}
		if opposed, err = b.insert(ctx, tx, on, description, &id, lines); err != nil {
			return err
		}
		if err := b.post(ctx, tx, opposed, "JU"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, mark, id); err != nil {
			return err
		}
		return b.note(ctx, tx, "REVERSE", "journal_entry", id)
	})
	if err != nil {
		return Entry{}, err
	}
	return b.Entry(ctx, opposed)
}
