package service

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

// figure writes an amount as Indonesian accountants do: 1.110.000,00, and a
// negative one in parentheses.
func figure(a ledger.Amount) string {
	digits, negative := strings.CutPrefix(a.String(), "-")
	whole, decimals, _ := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "." + whole[i:]
	}
	if negative {
		return "(" + whole + "," + decimals + ")"
	}
	return whole + "," + decimals
}

// cell is figure for a column where most rows have nothing.
func cell(a ledger.Amount) string {
	if a == 0 {
		return "–"
	}
	return figure(a)
}

var typed = regexp.MustCompile(`^([0-9]+|[0-9]{1,3}([.][0-9]{3})+)(,[0-9]{1,2})?$`)

// readFigure reads what figure writes, from a form. Nothing is zero. A point
// stands between thousands only, so that 1000.50 is refused rather than misread.
func readFigure(s string) (ledger.Amount, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "Rp")
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, nil
	}
	if !typed.MatchString(s) {
		return 0, &answer{422, fmt.Sprintf("amount %q is not a number like 1.110.000,00", s)}
	}
	return ledger.ParseAmount(strings.Replace(strings.ReplaceAll(s, ".", ""), ",", ".", 1))
}

var months = [...]string{"Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"}

// date writes a day as 31 Mar 2026.
func date(d ledger.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.Format("2") + " " + months[d.Month()-1] + " " + d.Format("2006")
}

// percent writes a rate of "0.120000" as 12 %. It is text all the way: a rate is
// exact.
func percent(rate string) string {
	whole, decimals, _ := strings.Cut(rate, ".")
	decimals += "00"
	n := strings.TrimLeft(whole+decimals[:2], "0")
	if n == "" {
		n = "0"
	}
	if rest := strings.TrimRight(decimals[2:], "0"); rest != "" {
		n += "," + rest
	}
	return n + " %"
}
