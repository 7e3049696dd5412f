package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

// year posts the same small business in two years: capital, a sale with VAT, its
// cost, rent and interest.
func year(t *testing.T) *ledger.Books {
	t.Helper()
	b, _ := open(t)
	require.NoError(t, b.OpenYear(t.Context(), 2025))
	post(t, b, entry("2025-01-02", "1-1200", "3-1000", "50000000"))
	post(t, b, entry("2025-11-30", "1-1200", "4-1010", "3000000"))
	post(t, b, ledger.Draft{Date: day("2026-01-10"), Description: "sale", Lines: []ledger.DraftLine{
		{Account: "1-1300", Debit: amount("1110000")},
		{Account: "4-1000", Credit: amount("1000000"), Tax: "PPN-K"},
	}})
	post(t, b, entry("2026-01-11", "4-1200", "1-1300", "50000"))
	post(t, b, entry("2026-01-12", "5-1000", "1-1200", "400000"))
	post(t, b, entry("2026-01-31", "6-1100", "1-1200", "250000"))
	post(t, b, entry("2026-02-01", "1-1200", "7-1000", "1234.56"))
	post(t, b, entry("2026-02-28", "9-1100", "2-1470", "5000"))
	_, err := b.Add(t.Context(), entry("2026-02-28", "6-1000", "2-1210", "9999999")) // a draft counts nowhere
	require.NoError(t, err)
	return b
}

func TestTrialBalanceCarriesWhatWasBefore(t *testing.T) {
	t.Parallel()
	b := year(t)
	trial, err := b.TrialBalance(t.Context(), day("2026-01-01"), day("2026-01-31"))
	require.NoError(t, err)
	require.True(t, trial.Balanced)
	require.Zero(t, trial.Total.Opening)
	require.Equal(t, amount("1810000"), trial.Total.Debit)
	rows := map[string]ledger.TrialRow{}
	for _, r := range trial.Rows {
		rows[r.Account] = r
	}
	require.Equal(t, ledger.TrialBalanceOf{
		Opening: amount("53000000"), Credit: amount("650000"), ClosingDebit: amount("52350000"),
	}, rows["1-1200"].TrialBalanceOf)
	require.Equal(t, amount("110000"), rows["2-1400"].ClosingCredit)
	require.NotContains(t, rows, "7-1000", "posted later")

	_, err = b.TrialBalance(t.Context(), day("2026-02-01"), day("2026-01-31"))
	refused(t, err, "is empty")
}

func TestGeneralLedgerRunsABalanceOnTheAccountsOwnSide(t *testing.T) {
	t.Parallel()
	b := year(t)
	g, err := b.GeneralLedger(t.Context(), "1-1200", day("2026-01-01"), day("2026-12-31"))
	require.NoError(t, err)
	require.Equal(t, amount("53000000"), g.Opening)
	var running []string
	for _, l := range g.Lines {
		running = append(running, l.Balance.String())
	}
	require.Equal(t, []string{"52600000.00", "52350000.00", "52351234.56"}, running)
	require.Equal(t, amount("52351234.56"), g.Closing)
	require.False(t, g.More)

	g, err = b.GeneralLedger(t.Context(), "2-1400", day("2026-01-01"), day("2026-12-31"))
	require.NoError(t, err)
	require.Equal(t, amount("110000"), g.Closing, "what is owed is positive")

	_, err = b.GeneralLedger(t.Context(), "1-9999", day("2026-01-01"), day("2026-12-31"))
	require.ErrorIs(t, err, ledger.ErrNotFound)
}

func TestProfitAndLossHasItsSubtotals(t *testing.T) {
	t.Parallel()
	b := year(t)
	p, err := b.ProfitAndLoss(t.Context(), day("2026-01-01"), day("2026-12-31"))
	require.NoError(t, err)
	require.Equal(t, amount("950000"), p.Revenue.Total, "less the discount")
	require.Equal(t, amount("-50000"), p.Revenue.Rows[1].Amount)
	require.Equal(t, amount("550000"), p.GrossProfit)
	require.Equal(t, amount("300000"), p.OperatingProfit)
	require.Equal(t, amount("301234.56"), p.ProfitBeforeTax)
	require.Equal(t, amount("296234.56"), p.NetProfit)
}

func TestBalanceSheetBalancesWithTheEarningsSoFar(t *testing.T) {
	t.Parallel()
	b := year(t)
	for on, want := range map[string]struct{ before, current, assets string }{
		"2025-12-31": {"0", "3000000", "53000000"},
		"2026-01-31": {"3000000", "300000", "53410000"},
		"2026-12-31": {"3000000", "296234.56", "53411234.56"},
	} {
		s, err := b.BalanceSheet(t.Context(), day(on))
		require.NoError(t, err)
		require.True(t, s.Balanced, on)
		require.Equal(t, amount(want.assets), s.Assets.Total, on)
		computed := map[string]ledger.Amount{}
		for _, r := range s.Equity.Rows {
			if r.Computed {
				computed[r.Account] = r.Amount
			}
		}
		require.Equal(t, amount(want.before), computed["3-2000"], on)
		require.Equal(t, amount(want.current), computed["3-3000"], on)
	}
}

func TestASumBeyondAnAmountIsAnErrorAndNeverAWrongNumber(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	large := ledger.Draft{Date: day("2026-01-01"), Description: "large"}
	for range 100 {
		large.Lines = append(large.Lines,
			ledger.DraftLine{Account: "1-1100", Debit: amount("99999999999999.99")},
			ledger.DraftLine{Account: "3-1000", Credit: amount("99999999999999.99")})
	}
	six := func() {
		for range 6 {
			post(t, b, large)
		}
	}
	six()
	from, to := day("2026-01-01"), day("2026-12-31")
	trial, err := b.TrialBalance(t.Context(), from, to)
	require.NoError(t, err)
	require.Equal(t, "59999999999999994.00", trial.Total.Debit.String())

	for i := range large.Lines { // now two accounts hold what fits, but not their sum
		large.Lines[i].Account = map[string]string{"1-1100": "1-1200", "3-1000": "3-2000"}[large.Lines[i].Account]
	}
	six()
	_, err = b.TrialBalance(t.Context(), from, to)
	refused(t, err, "a sum is beyond")
	_, err = b.BalanceSheet(t.Context(), to)
	refused(t, err, "a sum is beyond")

	six() // and now one account's is too large
	_, err = b.GeneralLedger(t.Context(), "1-1200", from, to)
	refused(t, err, "a sum is beyond")
}

func TestANewAccountHangsBelowItsHeading(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	a, err := b.AddAccount(t.Context(), ledger.NewAccount{Code: "6-1220", NameID: "Beban Parkir"})
	require.NoError(t, err)
	require.Equal(t, ledger.Account{
		Code: "6-1220", NameID: "Beban Parkir", NameEN: "Beban Parkir", Type: "EXPENSE", Side: "D",
		Parent: "6-0000", Postable: true, Active: true,
	}, a)
	all, err := b.Accounts(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, a)
	_, err = b.AddAccount(t.Context(), ledger.NewAccount{Code: "6-1220", NameID: "again"})
	refused(t, err, "exists already")
}
