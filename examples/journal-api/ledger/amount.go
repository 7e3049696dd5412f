package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// An Amount is money in hundredths of the currency's unit (sen), exact. It is
// read from and written to numeric(20,2), and is a string in JSON: "1110000.00".
//
// It holds ±92,233,720,368,547,758.07, less than numeric(20,2) does. A sum beyond
// that is an error where it is read and never a wrong number.
type Amount int64

// maxDigits of the whole part, as typed in, keep the sum of the longest entry well
// within the bounds.
const maxDigits = 14

// ParseAmount reads what String writes; the decimals may be missing.
func ParseAmount(s string) (Amount, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, decimals, point := strings.Cut(digits, ".")
	if !digitsOnly(whole) || whole == "" || point && (decimals == "" || !digitsOnly(decimals)) {
		return 0, fmt.Errorf("amount %q is not a number like 1110000.00", shorten(s))
	}
	if len(decimals) > 2 {
		return 0, fmt.Errorf("amount %q has more than two decimals", shorten(s))
	}
	if len(strings.TrimLeft(whole, "0")) > maxDigits {
		return 0, fmt.Errorf("amount %q has more than %d digits", shorten(s), maxDigits)
	}
	decimals += strings.Repeat("0", 2-len(decimals))
	n, err := strconv.ParseInt(whole+decimals, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("amount %q: %w", shorten(s), err)
	}
	if negative {
		n = -n
	}
	return Amount(n), nil
}

func digitsOnly(s string) bool { return strings.Trim(s, "0123456789") == "" }

// shorten keeps a message short whatever somebody sent.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// String writes the amount with two decimals and no thousands separator.
func (a Amount) String() string {
	sign, n := "", uint64(a)
	if a < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

// MarshalText implements encoding.TextMarshaler.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}

// NumericValue implements pgtype.NumericValuer.
func (a Amount) NumericValue() (pgtype.Numeric, error) {
	return pgtype.Numeric{Int: big.NewInt(int64(a)), Exp: -2, Valid: true}, nil
}

// ScanNumeric implements pgtype.NumericScanner. It takes no NULL.
func (a *Amount) ScanNumeric(n pgtype.Numeric) error {
	if !n.Valid || n.NaN || n.InfinityModifier != pgtype.Finite {
		return errors.New("an amount is a number")
	}
	sen := new(big.Int).Set(n.Int)
	ten := big.NewInt(10)
	for exp := n.Exp + 2; exp > 0; exp-- {
		sen.Mul(sen, ten)
	}
	for exp := n.Exp + 2; exp < 0; exp++ {
		rest := new(big.Int)
		if sen.QuoRem(sen, ten, rest); rest.Sign() != 0 {
			return errors.New("an amount has two decimals")
		}
	}
	if !sen.IsInt64() || sen.Int64() == math.MinInt64 { // which has no opposite
		return errBounds
	}
	*a = Amount(sen.Int64())
	return nil
}

var errBounds = refuse("an amount or a sum is beyond 92233720368547758.07")

// A tally adds amounts up and remembers whether a sum was out of bounds.
type tally struct{ over bool }

func (t *tally) sum(amounts ...Amount) (sum Amount) {
	for _, a := range amounts {
		next := sum + a
		if a > 0 && next < sum || a < 0 && next > sum || next == math.MinInt64 {
			t.over = true
		}
		sum = next
	}
	return sum
}

func (t *tally) err() error {
	if t.over {
		return errBounds
	}
	return nil
}
