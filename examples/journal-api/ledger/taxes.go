package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// A Tax as it stands on one day, and what it makes of one price. Its rate applies
// to Numerator/Denominator of the price: since 2025 VAT is 12 % of 11/12 of it,
// but for luxury goods (PMK 131/2024).
type Tax struct {
	Code        string `json:"code" db:"code" example:"PPN-K"`
	NameID      string `json:"nameId" db:"name_id"`
	NameEN      string `json:"nameEn" db:"name_en"`
	Kind        string `json:"kind" db:"kind" enum:"VAT_OUT,VAT_IN,WITHHOLDING,INCOME_FINAL,INCOME,LUXURY"`
	LegalBasis  string `json:"legalBasis" db:"legal_basis"`
	Rate        string `json:"rate" db:"rate" doc:"a decimal fraction" example:"0.120000"`
	Numerator   int    `json:"numerator" db:"numerator" example:"11"`
	Denominator int    `json:"denominator" db:"denominator" example:"12"`
	ValidFrom   Date   `json:"validFrom" db:"valid_from" format:"date"`
	ValidTo     Date   `json:"validTo" db:"valid_to" doc:"empty: until further notice"`
	Note        string `json:"note,omitempty" db:"note"`
	Base        Amount `json:"base" db:"base" doc:"what the rate applies to, rounded to sen"`
	Tax         Amount `json:"tax" db:"tax" doc:"rounded half up to whole rupiah"`

	rateID              int64
	payable, receivable *int64 // accounts
}

// taxesAt computes from the exact base and rounds once, at the end: the base that
// is shown and stored is rounded by itself.
const taxesAt = `SELECT t.code, t.name_id, t.name_en, t.kind, t.legal_basis, r.rate::text,
	  r.base_numerator, r.base_denominator, r.valid_from, r.valid_to, coalesce(r.note, ''),
	  round($2::numeric * r.base_numerator / r.base_denominator, 2),
	  round($2::numeric * r.base_numerator * r.rate / r.base_denominator),
	  r.id, t.payable_account_id, t.receivable_account_id
	FROM taxes t JOIN tax_rates r ON r.tax_id = t.id AND $1::date BETWEEN r.valid_from AND coalesce(r.valid_to, 'infinity')
	WHERE t.active AND ($3 = '' OR t.code = $3) ORDER BY t.code`

func scanTax(row pgx.CollectableRow) (t Tax, err error) {
	err = row.Scan(&t.Code, &t.NameID, &t.NameEN, &t.Kind, &t.LegalBasis, &t.Rate,
		&t.Numerator, &t.Denominator, &t.ValidFrom, &t.ValidTo, &t.Note,
		&t.Base, &t.Tax, &t.rateID, &t.payable, &t.receivable)
	return t, err
}

// Taxes returns the taxes that have a rate on that day, each with what it makes
// of price.
func (b *Books) Taxes(ctx context.Context, on Date, price Amount) ([]Tax, error) {
	rows, _ := b.pool.Query(ctx, taxesAt, on, price, "") // its error comes out of the rows
	return pgx.CollectRows(rows, scanTax)
}

// taxOn appends to lines what the tax of l, a line with the price before tax,
// makes of it on that day. A tax of nothing has no line of its own: l keeps note
// of it then.
func taxOn(ctx context.Context, tx pgx.Tx, on Date, l *line, lines []line) ([]line, error) {
	price := l.debit + l.credit
	rows, _ := tx.Query(ctx, taxesAt, on, price, l.tax) // its error comes out of the rows
	t, err := pgx.CollectExactlyOneRow(rows, scanTax)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, refuse("there is no tax %s with a rate on %s", l.tax, on)
	}
	if err != nil {
		return nil, err
	}
	added := line{memo: l.memo, rate: &t.rateID, base: &t.Base}
	switch t.Kind {
	case "VAT_OUT", "LUXURY": // follows the sale, or its return
		added.account = t.payable
		added.debit, added.credit = side(l.debit > 0, t.Tax)
	case "VAT_IN": // follows the purchase
		added.account = t.receivable
		added.debit, added.credit = side(l.debit > 0, t.Tax)
	case "WITHHOLDING": // against an expense we owe it, against revenue it was kept from us
		added.account = t.payable
		if l.credit > 0 {
			added.account = t.receivable
		}
		added.debit, added.credit = side(l.credit > 0, t.Tax)
	default:
		return nil, refuse("tax %s is computed for a whole period, not for a line", t.Code)
	}
	if added.account == nil {
		return nil, refuse("tax %s has no account for this side of the entry", t.Code)
	}
	if t.Tax == 0 {
		l.rate, l.base = added.rate, added.base
		return lines, nil
	}
	return append(lines, added), nil
}

func side(debit bool, a Amount) (Amount, Amount) {
	if debit {
		return a, 0
	}
	return 0, a
}
