package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// MaxLedgerLines is how many lines a GeneralLedger has at most.
const MaxLedgerLines = 2000

// A GeneralLedger is what was posted to one account, line by line. Balances count
// on the account's own side: that of cash is positive when there is some, that of
// a payable when it is owed.
type GeneralLedger struct {
	From    Date         `json:"from" format:"date"`
	To      Date         `json:"to" format:"date"`
	Account Account      `json:"account"`
	Opening Amount       `json:"opening"`
	Lines   []LedgerLine `json:"lines"`
	Debit   Amount       `json:"debit"`
	Credit  Amount       `json:"credit"`
	Closing Amount       `json:"closing"`
	More    bool         `json:"more" doc:"there are more lines than a report has: choose a shorter range. The sums are complete"`
}

// A LedgerLine is a line of a posted entry and the balance after it.
type LedgerLine struct {
	Entry       int64  `json:"entry"`
	Number      string `json:"number"`
	Date        Date   `json:"date" format:"date"`
	Description string `json:"description"`
	Memo        string `json:"memo,omitempty"`
	Debit       Amount `json:"debit"`
	Credit      Amount `json:"credit"`
	Balance     Amount `json:"balance"`
}

// GeneralLedger lists an account from one day to another, both included.
func (b *Books) GeneralLedger(ctx context.Context, code string, from, to Date) (GeneralLedger, error) {
	const (
		account = `SELECT a.code, a.name_id, a.name_en, a.type::text, a.normal_side AS side, '' AS parent,
			  a.is_postable AS postable, a.is_contra AS contra, a.active FROM accounts a WHERE a.code = $1`
		sums = `SELECT coalesce(sum(l.debit - l.credit) FILTER (WHERE e.entry_date < $2), 0),
			  coalesce(sum(l.debit) FILTER (WHERE e.entry_date >= $2), 0), coalesce(sum(l.credit) FILTER (WHERE e.entry_date >= $2), 0)
			FROM journal_lines l JOIN journal_entries e ON e.id = l.entry_id JOIN accounts a ON a.id = l.account_id
			WHERE a.code = $1 AND e.status <> 'DRAFT' AND e.entry_date <= $3`
		lines = `SELECT e.id, e.number, e.entry_date, e.description, coalesce(l.memo, ''), l.debit, l.credit
			FROM journal_lines l JOIN journal_entries e ON e.id = l.entry_id JOIN accounts a ON a.id = l.account_id
			WHERE a.code = $1 AND e.status <> 'DRAFT' AND e.entry_date BETWEEN $2 AND $3
			ORDER BY e.entry_date, e.id, l.line_no LIMIT $4`
	)
	g := GeneralLedger{From: from, To: to}
	if err := checkRange(from, to); err != nil {
		return g, err
	}
	err := b.look(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, account, code) // its error comes out of the rows
		var err error
		g.Account, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Account])
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("account %q", shorten(code))
		}
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sums, code, from, to).Scan(&g.Opening, &g.Debit, &g.Credit); err != nil {
			return err
		}
		rows, _ = tx.Query(ctx, lines, code, from, to, MaxLedgerLines+1)
		g.Lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LedgerLine, err error) {
			err = row.Scan(&l.Entry, &l.Number, &l.Date, &l.Description, &l.Memo, &l.Debit, &l.Credit)
			return l, err
		})
		return err
	})
	if err != nil {
		return g, err
	}
	if g.More = len(g.Lines) > MaxLedgerLines; g.More {
		g.Lines = g.Lines[:MaxLedgerLines]
	}
	own := Amount(1)
	if g.Account.Side == "K" {
		own = -1
	}
	g.Opening *= own
	var add tally
	g.Closing = add.sum(g.Opening, own*g.Debit, -own*g.Credit)
	balance := g.Opening
	for i := range g.Lines {
		balance = add.sum(balance, own*g.Lines[i].Debit, -own*g.Lines[i].Credit)
		g.Lines[i].Balance = balance
	}
	return g, add.err()
}
