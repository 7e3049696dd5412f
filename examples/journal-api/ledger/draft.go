package ledger

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Draft is an entry to be written. It need not balance before it is posted.
type Draft struct {
	Date        Date        `json:"date" format:"date" example:"2026-03-31"`
	Description string      `json:"description" minLength:"1" maxLength:"1000" example:"Penjualan kredit"`
	Lines       []DraftLine `json:"lines" minItems:"1" maxItems:"200"`
}

// A DraftLine is debited or credited, not both. With a tax it holds the price
// before tax, and the tax's own line is added to the entry, at the rate of the
// entry's date.
type DraftLine struct {
	Account string `json:"account" example:"4-1000"`
	Debit   Amount `json:"debit,omitzero" example:"0.00"`
	Credit  Amount `json:"credit,omitzero" example:"1000000.00"`
	Memo    string `json:"memo,omitempty" maxLength:"1000"`
	Tax     string `json:"tax,omitempty" doc:"code of a tax" example:"PPN-K"`
}

// line is a DraftLine on its way into journal_lines.
type line struct {
	account       *int64
	debit, credit Amount
	memo          string
	tax           string
	rate          *int64
	base          *Amount
}

// Add writes a draft and returns it as an entry.
func (b *Books) Add(ctx context.Context, d Draft) (Entry, error) {
	var id int64
	err := b.change(ctx, func(tx pgx.Tx) (err error) {
		id, err = b.add(ctx, tx, d)
		return err
	})
	if err != nil {
		return Entry{}, err
	}
	return b.Entry(ctx, id)
}

func (b *Books) add(ctx context.Context, tx pgx.Tx, d Draft) (id int64, err error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	lines, err := d.resolve(ctx, tx)
	if err != nil {
		return 0, err
	}
	return b.insert(ctx, tx, d.Date, d.Description, nil, lines)
}

// check refuses what needs no look into the books.
func (d *Draft) check() error {
	d.Description = strings.TrimSpace(d.Description)
	switch {
	case d.Date.IsZero():
		return refuse("an entry needs a date")
	case d.Description == "":
		return refuse("an entry needs a description")
	case len(d.Lines) == 0:
		return refuse("an entry needs lines")
	}
	for i, l := range d.Lines {
		if l.Debit < 0 || l.Credit < 0 {
			return refuse("line %d: an amount is not negative; use the other side", i+1)
		}
		if (l.Debit == 0) == (l.Credit == 0) {
			return refuse("line %d has either a debit or a credit", i+1)
		}
	}
	return nil
}

// resolve finds the accounts and adds the lines of the taxes.
func (d *Draft) resolve(ctx context.Context, tx pgx.Tx) ([]line, error) {
	codes := make([]string, len(d.Lines))
	for i, l := range d.Lines {
		codes[i] = l.Account
	}
	type account struct {
		ID       int64
		Code     string
		Postable bool
		Active   bool
	}
	rows, _ := tx.Query(ctx, `SELECT id, code, is_postable, active FROM accounts WHERE code = ANY ($1)`, codes)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[account])
	if err != nil {
		return nil, err
	}
	byCode := make(map[string]account, len(found))
	for _, a := range found {
		byCode[a.Code] = a
	}

	lines := make([]line, 0, len(d.Lines)+2)
	for i, l := range d.Lines {
		a, ok := byCode[l.Account]
		switch {
		case !ok:
			return nil, refuse("line %d: there is no account %q", i+1, shorten(l.Account))
		case !a.Postable:
			return nil, refuse("line %d: account %s is a heading and takes no lines", i+1, a.Code)
		case !a.Active:
			return nil, refuse("line %d: account %s is not in use any more", i+1, a.Code)
		}
		lines = append(lines, line{account: &a.ID, debit: l.Debit, credit: l.Credit, memo: l.Memo, tax: l.Tax})
	}
	for i := range d.Lines { // the taxes follow behind all others
		if lines[i].tax == "" {
			continue
		}
		if lines, err = taxOn(ctx, tx, d.Date, &lines[i], lines); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// insert writes an entry as a draft into the period of its date.
func (b *Books) insert(ctx context.Context, tx pgx.Tx, on Date, description string, reverses *int64, lines []line) (id int64, err error) {
	const (
		entry = `INSERT INTO journal_entries (entry_date, period_id, description, reverses_id, created_by)
			SELECT $1, id, $2, $3, $4::text::uuid FROM periods WHERE $1 BETWEEN starts_on AND ends_on RETURNING id`
		each = `INSERT INTO journal_lines (entry_id, line_no, account_id, debit, credit, memo, tax_rate_id, tax_base)
			VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8)`
	)
	var author *string
	if b.actor.ID != "" {
		author = &b.actor.ID
	}
	err = tx.QueryRow(ctx, entry, on, description, reverses, author).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, refuse("no accounting period holds %s: open the year %d first", on, on.Year())
	}
	if err != nil {
		return 0, err
	}
	var batch pgx.Batch
	for i, l := range lines {
		batch.Queue(each, id, i+1, l.account, l.debit, l.credit, l.memo, l.rate, l.base)
	}
	return id, tx.SendBatch(ctx, &batch).Close()
}
