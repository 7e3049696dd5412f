package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// A BalanceSheet at the end of a day. Nobody has to post closing entries for it
// to balance: what revenue and expenses have made so far is shown among the
// equity, the part of earlier years at retained earnings.
type BalanceSheet struct {
	On                   Date    `json:"on" format:"date"`
	Assets               Section `json:"assets"`
	Liabilities          Section `json:"liabilities"`
	Equity               Section `json:"equity"`
	LiabilitiesAndEquity Amount  `json:"liabilitiesAndEquity"`
	Balanced             bool    `json:"balanced"`
}

// BalanceSheet sums up all that was posted until that day, included.
func (b *Books) BalanceSheet(ctx context.Context, on Date) (BalanceSheet, error) {
	const (
		sums = `SELECT a.type::text, a.code, a.name_id, a.name_en,
			  CASE a.type WHEN 'ASSET' THEN sum(l.debit - l.credit) ELSE sum(l.credit - l.debit) END
			FROM journal_lines l
			JOIN journal_entries e ON e.id = l.entry_id
			JOIN accounts a ON a.id = l.account_id
			WHERE e.status <> 'DRAFT' AND e.entry_date <= $1 AND a.type IN ('ASSET', 'LIABILITY', 'EQUITY')
			GROUP BY a.id HAVING sum(l.debit) <> sum(l.credit) ORDER BY a.code`
		// The accounting year that on is in begins where fiscal_years says, or
		// with the calendar year.
		earnings = `WITH year AS (
			  SELECT coalesce((SELECT starts_on FROM fiscal_years WHERE $1::date BETWEEN starts_on AND ends_on),
			    date_trunc('year', $1::date::timestamp)::date) AS starts_on
			)
			SELECT coalesce(sum(l.credit - l.debit) FILTER (WHERE e.entry_date < year.starts_on), 0),
			  coalesce(sum(l.credit - l.debit) FILTER (WHERE e.entry_date >= year.starts_on), 0)
			FROM journal_lines l
			JOIN journal_entries e ON e.id = l.entry_id
			JOIN accounts a ON a.id = l.account_id
			CROSS JOIN year
			WHERE e.status <> 'DRAFT' AND e.entry_date <= $1 AND a.type IN ('REVENUE', 'EXPENSE')`
		role = `SELECT a.code FROM account_roles r JOIN accounts a ON a.id = r.account_id WHERE r.role = $1`
	)
	s := BalanceSheet{
		On:          on,
		Assets:      Section{NameID: "Aset", NameEN: "Assets", Rows: []SectionRow{}},
		Liabilities: Section{NameID: "Liabilitas", NameEN: "Liabilities", Rows: []SectionRow{}},
		Equity:      Section{NameID: "Ekuitas", NameEN: "Equity", Rows: []SectionRow{}},
	}
	if on.IsZero() {
		return s, refuse("a balance sheet needs a date")
	}
	sections := map[string]*Section{"ASSET": &s.Assets, "LIABILITY": &s.Liabilities, "EQUITY": &s.Equity}
	var kind string
	var r SectionRow
	var before, current Amount
	var add tally
	err := b.look(ctx, func(tx pgx.Tx) error {
		for _, section := range sections { // of an earlier try
			section.Rows, section.Total = []SectionRow{}, 0
		}
		rows, _ := tx.Query(ctx, sums, on) // its error comes out of the rows
		_, err := pgx.ForEachRow(rows, []any{&kind, &r.Account, &r.NameID, &r.NameEN, &r.Amount}, func() error {
			sections[kind].add(&add, r)
			return nil
		})
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, earnings, on).Scan(&before, &current); err != nil {
			return err
		}
		for _, computed := range []struct {
			role           string
			nameID, nameEN string
			amount         Amount
		}{
			{"retained_earnings", "Laba tahun-tahun lalu", "Profit of earlier years", before},
			{"current_earnings", "Laba tahun berjalan", "Profit of the year so far", current},
		} {
			if computed.amount == 0 {
				continue
			}
			row := SectionRow{NameID: computed.nameID, NameEN: computed.nameEN, Amount: computed.amount, Computed: true}
			err := tx.QueryRow(ctx, role, computed.role).Scan(&row.Account)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			s.Equity.add(&add, row)
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	s.LiabilitiesAndEquity = add.sum(s.Liabilities.Total, s.Equity.Total)
	s.Balanced = s.Assets.Total == s.LiabilitiesAndEquity
	return s, add.err()
}
