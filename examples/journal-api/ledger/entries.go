package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// An Entry of the journal.
type Entry struct {
	ID          int64      `json:"id" db:"id"`
	Number      string     `json:"number,omitempty" db:"number" doc:"given when it is posted" example:"JU/2026/000001"`
	Date        Date       `json:"date" db:"entry_date" format:"date"`
	Period      string     `json:"period" db:"period" example:"2026-03"`
	Description string     `json:"description" db:"description"`
	Status      string     `json:"status" db:"status" enum:"DRAFT,POSTED,REVERSED"`
	Reverses    *int64     `json:"reverses,omitempty" db:"reverses_id" doc:"the entry that this one reverses"`
	ReversedBy  *int64     `json:"reversedBy,omitempty" db:"reversed_by"`
	CreatedBy   string     `json:"createdBy,omitempty" db:"created_by" doc:"e-mail address of the user"`
	PostedAt    *time.Time `json:"postedAt,omitempty" db:"posted_at"`
	Debit       Amount     `json:"debit" db:"debit" doc:"sum of its debits"`
	Credit      Amount     `json:"credit" db:"credit" doc:"sum of its credits"`
	Lines       []Line     `json:"lines,omitempty" db:"-" doc:"missing in lists"`
}

// A Line of an entry.
type Line struct {
	No      int     `json:"no" db:"line_no"`
	Account string  `json:"account" db:"account"`
	NameID  string  `json:"nameId" db:"name_id"`
	NameEN  string  `json:"nameEn" db:"name_en"`
	Debit   Amount  `json:"debit" db:"debit"`
	Credit  Amount  `json:"credit" db:"credit"`
	Memo    string  `json:"memo,omitempty" db:"memo"`
	Tax     string  `json:"tax,omitempty" db:"tax" doc:"the tax that the line is the amount of"`
	TaxBase *Amount `json:"taxBase,omitempty" db:"tax_base"`
}

const selectEntries = `SELECT e.id, coalesce(e.number, '') AS number, e.entry_date, p.name AS period, e.description, e.status,
	  e.reverses_id, r.id AS reversed_by, coalesce(u.email, '') AS created_by, e.posted_at, s.debit, s.credit
	FROM journal_entries e
	JOIN periods p ON p.id = e.period_id
	LEFT JOIN journal_entries r ON r.reverses_id = e.id
	LEFT JOIN users u ON u.id = e.created_by
	CROSS JOIN LATERAL (SELECT coalesce(sum(l.debit), 0) AS debit, coalesce(sum(l.credit), 0) AS credit
	  FROM journal_lines l WHERE l.entry_id = e.id) s`

// MaxEntries is how many entries a list has at most.
const MaxEntries = 500

// EntryFilter says which entries a list has. The zero filter has all of them.
type EntryFilter struct {
	From, To Date
	Status   string
	Before   int64 // only entries with a smaller id: the next page
	Limit    int   // 0: MaxEntries
}

// Entries returns entries without their lines, the youngest first.
func (b *Books) Entries(ctx context.Context, f EntryFilter) ([]Entry, error) {
	const where = ` WHERE ($1::date IS NULL OR e.entry_date >= $1) AND ($2::date IS NULL OR e.entry_date <= $2)
		AND ($3 = '' OR e.status = $3) AND ($4 = 0 OR e.id < $4) ORDER BY e.id DESC LIMIT $5`
	if f.Limit <= 0 || f.Limit > MaxEntries {
		f.Limit = MaxEntries
	}
	rows, _ := b.pool.Query(ctx, selectEntries+where, f.From, f.To, f.Status, f.Before, f.Limit)
	return pgx.CollectRows(rows, pgx.RowToStructByName[Entry])
}

// Entry returns one with its lines.
func (b *Books) Entry(ctx context.Context, id int64) (e Entry, err error) {
	const lines = `SELECT l.line_no, a.code AS account, a.name_id, a.name_en, l.debit, l.credit,
		  coalesce(l.memo, '') AS memo, coalesce(t.code, '') AS tax, l.tax_base
		FROM journal_lines l JOIN accounts a ON a.id = l.account_id
		LEFT JOIN tax_rates r ON r.id = l.tax_rate_id LEFT JOIN taxes t ON t.id = r.tax_id
		WHERE l.entry_id = $1 ORDER BY l.line_no`
	err = b.look(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, selectEntries+" WHERE e.id = $1", id) // its error comes out of the rows
		e, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Entry])
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("entry %d", id)
		}
		if err != nil {
			return err
		}
		rows, _ = tx.Query(ctx, lines, id)
		e.Lines, err = pgx.CollectRows(rows, pgx.RowToStructByName[Line])
		return err
	})
	return e, err
}

// Discard deletes a draft. The database refuses it for a posted entry.
func (b *Books) Discard(ctx context.Context, id int64) error {
	return b.change(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM journal_entries WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return notFound("entry %d", id)
		}
		return b.note(ctx, tx, "DISCARD", "journal_entry", id)
	})
}
