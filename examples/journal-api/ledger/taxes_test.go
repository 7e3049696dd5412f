package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

func TestVATIsThatOfTheEntrysDate(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	for _, year := range []int{2022, 2024, 2025} {
		require.NoError(t, b.OpenYear(t.Context(), year))
	}
	for _, c := range []struct{ on, tax, price, base, vat, why string }{
		{"2022-03-31", "PPN-K", "1000000", "1000000", "100000", "the last day of 10 %"},
		{"2024-12-31", "PPN-K", "1000000", "1000000", "110000", "the last day of 11 %"},
		{"2025-01-01", "PPN-K", "1000000", "916666.67", "110000", "12 % of 11/12"},
		{"2025-01-31", "PPN-K-MEWAH", "1000000", "916666.67", "110000", "luxury goods, the first month"},
		{"2025-02-01", "PPN-K-MEWAH", "1000000", "1000000", "120000", "luxury goods, 12 % of all"},
		{"2026-07-01", "PPN-K-MEWAH", "1000000", "1000000", "120000", "and today"},
		{"2026-07-01", "PPN-K", "104.54", "95.83", "11", "11.4994: down"},
		{"2026-07-01", "PPN-K", "104.55", "95.84", "12", "11.5005: up"},
		{"2026-07-01", "PPN-K", "50", "45.83", "6", "5.50: half goes up"},
		{"2026-07-01", "PPN-K", "99999999999999.99", "91666666666666.66", "11000000000000", "the largest price"},
	} {
		e, err := b.Add(t.Context(), ledger.Draft{Date: day(c.on), Description: c.why, Lines: []ledger.DraftLine{
			{Account: "4-1000", Credit: amount(c.price), Memo: "goods", Tax: c.tax},
		}})
		require.NoError(t, err, c.why)
		require.Len(t, e.Lines, 2, c.why)
		vat := e.Lines[1]
		require.Equal(t, "2-1400", vat.Account, c.why)
		require.Equal(t, amount(c.vat), vat.Credit, c.why)
		require.Equal(t, amount(c.base), *vat.TaxBase, c.why)
		require.Equal(t, c.tax, vat.Tax)
		require.Equal(t, "goods", vat.Memo)
	}
	_, err := b.Add(t.Context(), ledger.Draft{Date: day("2024-12-31"), Description: "too early", Lines: []ledger.DraftLine{
		{Account: "4-1000", Credit: amount("1"), Tax: "PPN-K-MEWAH"},
	}})
	refused(t, err, "no tax PPN-K-MEWAH with a rate on 2024-12-31")
}

func TestATaxStandsOnItsOwnSideOfTheEntry(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	const price, vat, withheld = 1_000_000_00, 110_000_00, 20_000_00
	for what, c := range map[string]struct {
		line ledger.DraftLine
		want ledger.Line
	}{
		"sale":            {ledger.DraftLine{Account: "4-1000", Credit: price, Tax: "PPN-K"}, ledger.Line{Account: "2-1400", Credit: vat}},
		"sales return":    {ledger.DraftLine{Account: "4-1100", Debit: price, Tax: "PPN-K"}, ledger.Line{Account: "2-1400", Debit: vat}},
		"purchase":        {ledger.DraftLine{Account: "1-1400", Debit: price, Tax: "PPN-M"}, ledger.Line{Account: "1-1700", Debit: vat}},
		"purchase return": {ledger.DraftLine{Account: "1-1400", Credit: price, Tax: "PPN-M"}, ledger.Line{Account: "1-1700", Credit: vat}},
		"we withhold":     {ledger.DraftLine{Account: "6-1600", Debit: price, Tax: "PPH23-JASA"}, ledger.Line{Account: "2-1430", Credit: withheld}},
		"withheld from us": {
			ledger.DraftLine{Account: "4-1010", Credit: price, Tax: "PPH23-JASA"},
			ledger.Line{Account: "1-1720", Debit: withheld},
		},
	} {
		e, err := b.Add(t.Context(), ledger.Draft{Date: day("2026-01-31"), Description: what, Lines: []ledger.DraftLine{c.line}})
		require.NoError(t, err, what)
		require.Len(t, e.Lines, 2, what)
		got := e.Lines[1]
		require.Equal(t, c.want, ledger.Line{Account: got.Account, Debit: got.Debit, Credit: got.Credit}, what)
	}

	export, err := b.Add(t.Context(), ledger.Draft{Date: day("2026-01-31"), Description: "export", Lines: []ledger.DraftLine{
		{Account: "4-1000", Credit: price, Tax: "PPN-K-EKSPOR"},
	}})
	require.NoError(t, err)
	require.Len(t, export.Lines, 1, "no line of nothing")
	require.Equal(t, "PPN-K-EKSPOR", export.Lines[0].Tax, "but it is known as an export")

	_, err = b.Add(t.Context(), ledger.Draft{Date: day("2026-01-31"), Description: "rent", Lines: []ledger.DraftLine{
		{Account: "4-1010", Credit: price, Tax: "PPH42-SEWA"},
	}})
	refused(t, err, "tax PPH42-SEWA has no account for this side")
}

func TestTaxesAreListedAsOfADay(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	find := func(on string) (found ledger.Tax) {
		all, err := b.Taxes(t.Context(), day(on), amount("1000000"))
		require.NoError(t, err)
		for _, tax := range all {
			if tax.Code == "PPN-K" {
				found = tax
			}
		}
		return found
	}
	old := find("2024-12-31")
	require.Equal(t, []any{"0.110000", 1, 1, day("2024-12-31")}, []any{old.Rate, old.Numerator, old.Denominator, old.ValidTo})
	now := find("2025-01-01")
	require.Equal(t, []any{"0.120000", 11, 12, ledger.Date{}}, []any{now.Rate, now.Numerator, now.Denominator, now.ValidTo})
	require.Equal(t, amount("110000"), now.Tax)
}
