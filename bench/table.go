package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// titles are the targets' names in the table.
var titles = map[string]string{direct: "PostgreSQL, direct", pgbouncer: "PgBouncer", odyssey: "Odyssey", dermaga: "Dermaga"}

// table renders a result as Markdown.
func table(r result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. %s; pgbench -S, scale %d, %d server connections a pooler, SCRAM, loopback, plain TCP. ",
		r.Machine, r.Server, r.Options.Scale, r.Options.Pool)
	fmt.Fprintf(&b, "Median (range) of %d alternating rounds of %d s, %s.\n\n",
		r.Options.Rounds, r.Options.Seconds, r.Taken.Format("2006-01-02"))
	b.WriteString("| load | through | CPU µs per transaction | of PgBouncer's | transactions/s | of PgBouncer's |\n")
	b.WriteString("|---|---|---|---|---|---|\n")
	for _, m := range r.Loads {
		label := m.load.String()
		for _, name := range everyone {
			if s := m.Targets[name]; s != nil {
				fmt.Fprintf(&b, "| %s | %s |%s\n", label, titles[name], s.cells(m.Targets[pgbouncer]))
				label = "" // said once
			}
		}
	}
	for _, name := range everyone {
		if v := r.Versions[name]; v != "" && name != direct {
			r.note("%s", v)
		}
	}
	b.WriteString("\n")
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	return b.String()
}

// cells are the four columns of figures, beside those of peer.
func (s *series) cells(peer *series) string {
	if s.Missing != "" {
		return fmt.Sprintf(" not measured: %s | | | |", strings.ReplaceAll(s.Missing, "|", "/"))
	}
	if peer == nil || peer == s || peer.Missing != "" {
		peer = &series{}
	}
	return fmt.Sprintf(" %s | %s | %s | %s |",
		spread(s.CPU, 2), ratio(s.CPU, peer.CPU), spread(s.TPS, 0), ratio(s.TPS, peer.TPS))
}

func spread(values []float64, decimals int) string {
	if len(values) == 0 {
		return ""
	}
	show := func(v float64) string { return grouped(strconv.FormatFloat(v, 'f', decimals, 64)) }
	return fmt.Sprintf("%s (%s–%s)", show(median(values)), show(slices.Min(values)), show(slices.Max(values)))
}

func ratio(values, peer []float64) string {
	if len(values) == 0 || len(peer) == 0 {
		return ""
	}
	text := strconv.FormatFloat(median(values)/median(peer), 'f', 2, 64)
	if overlap(values, peer) {
		text += ", tie"
	}
	return text
}

// grouped puts commas between thousands.
func grouped(number string) string {
	whole, rest, _ := strings.Cut(number, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}
