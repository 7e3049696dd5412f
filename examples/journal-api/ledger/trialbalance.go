package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// A TrialBalance shows for each account what it held, what was posted in the
// range, and what it holds at its end. Entries that are drafts do not count,
// reversed ones do, beside their reversals.
type TrialBalance struct {
	From     Date           `json:"from" format:"date"`
	To       Date           `json:"to" format:"date"`
	Rows     []TrialRow     `json:"rows" doc:"accounts that anything was ever posted to"`
	Total    TrialBalanceOf `json:"total"`
	Balanced bool           `json:"balanced" doc:"debits are equal to credits"`
}

// A TrialRow is one account in a TrialBalance.
type TrialRow struct {
	Account string `json:"account"`
	NameID  string `json:"nameId"`
	NameEN  string `json:"nameEn"`
	Type    string `json:"type"`
	TrialBalanceOf
}

// TrialBalanceOf holds the figures of one account, or of all.
type TrialBalanceOf struct {
	Opening       Amount `json:"opening" doc:"debit less credit before the range"`
	Debit         Amount `json:"debit"`
	Credit        Amount `json:"credit"`
	ClosingDebit  Amount `json:"closingDebit" doc:"the closing balance, if it is a debit"`
	ClosingCredit Amount `json:"closingCredit" doc:"the closing balance, if it is a credit"`
}

// TrialBalance sums up the accounts from one day to another, both included.
func (b *Books) TrialBalance(ctx context.Context, from, to Date) (TrialBalance, error) {
	const sums = `SELECT code, name_id, name_en, type, opening, debit, credit,
		  greatest(opening + debit - credit, 0), greatest(credit - debit - opening, 0)
		FROM (
		  SELECT a.code, a.name_id, a.name_en, a.type::text,
		    coalesce(sum(l.debit - l.credit) FILTER (WHERE e.entry_date < $1), 0) AS opening,
		    coalesce(sum(l.debit) FILTER (WHERE e.entry_date >= $1), 0) AS debit,
		    coalesce(sum(l.credit) FILTER (WHERE e.entry_date >= $1), 0) AS credit
		  FROM journal_lines l
		  JOIN journal_entries e ON e.id = l.entry_id
		  JOIN accounts a ON a.id = l.account_id
		  WHERE e.status <> 'DRAFT' AND e.entry_date <= $2
		  GROUP BY a.id
		) s ORDER BY code`
	t := TrialBalance{From: from, To: to}
	if err := checkRange(from, to); err != nil {
		return t, err
	}
	rows, _ := b.pool.Query(ctx, sums, from, to) // its error comes out of the rows
	var err error
	t.Rows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r TrialRow, err error) {
		err = row.Scan(&r.Account, &r.NameID, &r.NameEN, &r.Type, &r.Opening, &r.Debit, &r.Credit, &r.ClosingDebit, &r.ClosingCredit)
		return r, err
	})
	if err != nil {
		return t, err
	}
	var add tally
	for _, r := range t.Rows {
		t.Total.Opening = add.sum(t.Total.Opening, r.Opening)
		t.Total.Debit = add.sum(t.Total.Debit, r.Debit)
		t.Total.Credit = add.sum(t.Total.Credit, r.Credit)
		t.Total.ClosingDebit = add.sum(t.Total.ClosingDebit, r.ClosingDebit)
		t.Total.ClosingCredit = add.sum(t.Total.ClosingCredit, r.ClosingCredit)
	}
	t.Balanced = t.Total.Opening == 0 && t.Total.Debit == t.Total.Credit && t.Total.ClosingDebit == t.Total.ClosingCredit
	return t, add.err()
}

func checkRange(from, to Date) error {
	switch {
	case from.IsZero() || to.IsZero():
		return refuse("a report needs two dates, from and to")
	case to.Before(from):
		return refuse("the range from %s to %s is empty", from, to)
	}
	return nil
}
