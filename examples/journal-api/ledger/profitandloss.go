package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// A Section of a statement: a heading of the chart and what is below it.
type Section struct {
	NameID string       `json:"nameId"`
	NameEN string       `json:"nameEn"`
	Rows   []SectionRow `json:"rows"`
	Total  Amount       `json:"total"`
}

// A SectionRow is one account of a Section. The amount of a contra account is
// negative.
type SectionRow struct {
	Account  string `json:"account"`
	NameID   string `json:"nameId"`
	NameEN   string `json:"nameEn"`
	Amount   Amount `json:"amount"`
	Computed bool   `json:"computed,omitempty" doc:"not posted to this account but computed from the others"`
}

func (s *Section) add(t *tally, r SectionRow) {
	s.Rows = append(s.Rows, r)
	s.Total = t.sum(s.Total, r.Amount)
}

// A ProfitAndLoss in the order of SAK EMKM, with the habit's subtotals.
type ProfitAndLoss struct {
	From              Date    `json:"from" format:"date"`
	To                Date    `json:"to" format:"date"`
	Revenue           Section `json:"revenue"`
	CostOfSales       Section `json:"costOfSales"`
	GrossProfit       Amount  `json:"grossProfit"`
	OperatingExpenses Section `json:"operatingExpenses"`
	OperatingProfit   Amount  `json:"operatingProfit"`
	OtherIncome       Section `json:"otherIncome"`
	OtherExpenses     Section `json:"otherExpenses"`
	ProfitBeforeTax   Amount  `json:"profitBeforeTax"`
	IncomeTax         Section `json:"incomeTax"`
	NetProfit         Amount  `json:"netProfit"`
}

// ProfitAndLoss sums up revenue and expenses from one day to another, both
// included.
func (b *Books) ProfitAndLoss(ctx context.Context, from, to Date) (ProfitAndLoss, error) {
	// An account whose code does not fit its type is shown among the other income
	// or expenses, so that the result is right whatever the chart looks like.
	const sums = `SELECT CASE WHEN left(a.code, 1) ~ (CASE a.type WHEN 'REVENUE' THEN '[47]' ELSE '[5689]' END) THEN left(a.code, 1)
		    WHEN a.type = 'REVENUE' THEN '7' ELSE '8' END,
		  a.code, a.name_id, a.name_en,
		  CASE a.type WHEN 'REVENUE' THEN sum(l.credit - l.debit) ELSE sum(l.debit - l.credit) END
		FROM journal_lines l
		JOIN journal_entries e ON e.id = l.entry_id
		JOIN accounts a ON a.id = l.account_id
		WHERE e.status <> 'DRAFT' AND e.entry_date BETWEEN $1 AND $2 AND a.type IN ('REVENUE', 'EXPENSE')
		GROUP BY a.id ORDER BY a.code`
	p := ProfitAndLoss{
		From: from, To: to,
		Revenue:           Section{NameID: "Pendapatan", NameEN: "Revenue", Rows: []SectionRow{}},
		CostOfSales:       Section{NameID: "Beban pokok", NameEN: "Cost of sales", Rows: []SectionRow{}},
		OperatingExpenses: Section{NameID: "Beban usaha", NameEN: "Operating expenses", Rows: []SectionRow{}},
		OtherIncome:       Section{NameID: "Pendapatan lain-lain", NameEN: "Other income", Rows: []SectionRow{}},
		OtherExpenses:     Section{NameID: "Beban lain-lain", NameEN: "Other expenses", Rows: []SectionRow{}},
		IncomeTax:         Section{NameID: "Beban pajak penghasilan", NameEN: "Income tax", Rows: []SectionRow{}},
	}
	if err := checkRange(from, to); err != nil {
		return p, err
	}
	sections := map[string]*Section{
		"4": &p.Revenue, "5": &p.CostOfSales, "6": &p.OperatingExpenses,
		"7": &p.OtherIncome, "8": &p.OtherExpenses, "9": &p.IncomeTax,
	}
	rows, _ := b.pool.Query(ctx, sums, from, to) // its error comes out of the rows
	var section string
	var r SectionRow
	var add tally
	_, err := pgx.ForEachRow(rows, []any{&section, &r.Account, &r.NameID, &r.NameEN, &r.Amount}, func() error {
		sections[section].add(&add, r)
		return nil
	})
	if err != nil {
		return p, err
	}
	p.GrossProfit = add.sum(p.Revenue.Total, -p.CostOfSales.Total)
	p.OperatingProfit = add.sum(p.GrossProfit, -p.OperatingExpenses.Total)
	p.ProfitBeforeTax = add.sum(p.OperatingProfit, p.OtherIncome.Total, -p.OtherExpenses.Total)
	p.NetProfit = add.sum(p.ProfitBeforeTax, -p.IncomeTax.Total)
	return p, add.err()
}
