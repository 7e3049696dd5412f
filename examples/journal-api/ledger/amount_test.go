package ledger_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

func TestAmountsAreStringsOfExactDecimals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ledger.Amount{
		"0": 0, "0.5": 50, "-0.05": -5, "1110000.00": 111000000, "000000000000000001": 100, "99999999999999.99": 9999999999999999,
	} {
		a, err := ledger.ParseAmount(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a, text)
		back, err := ledger.ParseAmount(a.String())
		require.NoError(t, err)
		require.Equal(t, a, back)
	}
	for _, text := range []string{"", "-", ".", "1.", ".5", "1.005", "1,5", "1e3", "+1", "--1", "1 000", "1.110.000,00", "NaN", "100000000000000", "１"} {
		_, err := ledger.ParseAmount(text)
		require.Error(t, err, text)
	}
	out, err := json.Marshal(map[string]ledger.Amount{"a": math.MinInt64, "b": math.MaxInt64})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"-92233720368547758.08","b":"92233720368547758.07"}`, string(out))
	var a ledger.Amount
	require.Error(t, json.Unmarshal([]byte(`1.5`), &a), "a JSON number would have been a float on its way")
}

func TestNoNumericIsCutToFitAnAmount(t *testing.T) {
	t.Parallel()
	var a ledger.Amount
	require.NoError(t, a.ScanNumeric(pgtype.Numeric{Int: big.NewInt(5), Exp: 3, Valid: true}))
	require.Equal(t, amount("5000"), a)
	require.NoError(t, a.ScanNumeric(pgtype.Numeric{Int: big.NewInt(-15000), Exp: -4, Valid: true}))
	require.Equal(t, amount("-1.5"), a)
	for _, n := range []pgtype.Numeric{
		{Int: big.NewInt(15001), Exp: -4, Valid: true},
		{Int: big.NewInt(1), Exp: 17, Valid: true},
		{Valid: true, NaN: true},
		{},
	} {
		require.Error(t, a.ScanNumeric(n))
	}
}
