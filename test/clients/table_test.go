package clients_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// steps are the six things that each example does, by the line that it prints
// when one is done. What follows the line after a colon says by what.
var steps = []struct{ heading, line string }{
	{"TLS, verified", "1 connected over TLS"},
	{"prepares", "2 prepared a statement, ran it several times"},
	{"transactions", "3 committed one transaction, rolled another back"},
	{"streams 100,000 rows", "4 streamed 100000 rows"},
	{"is cancelled", "5 cancelled, and the connection goes on"},
	{"reconnects", "6 reconnected after the session was ended"},
}

// An outcome is what an example printed, and what else came of it. Without a
// name it was not run.
type outcome struct {
	name, version   string
	out, complaints string
	ended           error

	trustsAnybody    bool // it connects where the certificate is by another authority
	trustsAnyAddress bool // it connects to an IP address that the certificate does not name
}

// done says by what the step was done.
func (o outcome) done(step int) (by string, ok bool) {
	for line := range strings.Lines(o.out) {
		if by, ok := strings.CutPrefix(strings.TrimSpace(line), steps[step].line); ok {
			return strings.TrimPrefix(by, ": "), true
		}
	}
	return "", false
}

func (o outcome) connected() bool {
	_, ok := o.done(0)
	return ok
}

// cell is a step's place in the table: ✓, or a short reason why not.
func (o outcome) cell(step int) string {
	by, ok := o.done(step)
	switch {
	case step == 0 && o.trustsAnybody:
		return "✗ trusts any authority"
	case step == 0 && o.trustsAnyAddress:
		return "✓ names, not IP addresses"
	case ok:
		return strings.TrimSpace("✓ " + by)
	}
	if step > 0 {
		if _, reached := o.done(step - 1); !reached {
			return "✗ not reached"
		}
	}
	return "✗ " + o.complaint()
}

var complains = regexp.MustCompile(`(?i)error|exception|fatal|memory`)

// complaint is the first line of the program's errors that says what is wrong.
func (o outcome) complaint() string {
	for line := range strings.Lines(o.complaints) {
		if complains.MatchString(line) {
			return strings.ReplaceAll(strings.TrimSpace(line), "|", `\|`)
		}
	}
	return fmt.Sprint(o.ended)
}

// key begins a client's row, whatever its version.
func key(name string) string {
	anchor := strings.ToLower(strings.NewReplacer("/", "", ".", "").Replace(name))
	return fmt.Sprintf("| [%s](connecting.md#%s) ", name, anchor)
}

// table is a row for each example: what came of it now, or where it was not run,
// the row that stands there.
func table(ran []outcome, stands string) string {
	headings := []string{"client"}
	for _, s := range steps {
		headings = append(headings, s.heading)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(headings, " | "), strings.Repeat("---|", len(headings)))
	for i, o := range ran {
		if o.name == "" {
			b.WriteString(row(stands, key(examples[i].name)))
			continue
		}
		b.WriteString(key(o.name) + o.version)
		for step := range steps {
			b.WriteString(" | " + o.cell(step))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// row is the line of a table that begins with key.
func row(table, key string) string {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, key) {
			return line
		}
	}
	return ""
}

func TestATablesRowSaysWhereAClientStopped(t *testing.T) {
	stopped := outcome{
		name: "psql", version: "15 or newer", trustsAnyAddress: true, ended: errors.New("exit status 3"),
		out:        "1 connected over TLS\n2 prepared a statement, ran it several times: PREPARE\n",
		complaints: "a notice\nERROR:  permission denied | for you\nand more\n",
	}
	before := key("pgx") + "5.11.0 | ✓ |\n"
	got := table([]outcome{stopped, {}}, before)
	require.Contains(t, got, "\n| [psql](connecting.md#psql) 15 or newer | ✓ names, not IP addresses | ✓ PREPARE"+
		` | ✗ ERROR:  permission denied \| for you | ✗ not reached | ✗ not reached | ✗ not reached |`+"\n")
	require.Contains(t, got, before, "a client that was not run keeps its row")

	stopped.complaints = ""
	require.Equal(t, "✗ exit status 3", stopped.cell(2))
}
