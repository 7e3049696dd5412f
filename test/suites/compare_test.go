package suites_test

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// An outcome is how one of a suite's tests ended.
type outcome string

const (
	passed  outcome = "pass"
	failed  outcome = "fail"
	skipped outcome = "skip"
	hung    outcome = "hang" // begun and not ended
	absent  outcome = "-"    // not run: one that it belongs to has failed before
)

// outcomes are those of all tests of a suite, by name.
type outcomes map[string]outcome

// count says how many ended how, as in 120/3/17: passed, failed, skipped.
func (o outcomes) count() string {
	n := map[outcome]int{}
	for _, how := range o {
		n[how]++
	}
	return fmt.Sprintf("%d/%d/%d", n[passed], n[failed]+n[hung], n[skipped])
}

// of is how test ended.
func (o outcomes) of(test string) outcome {
	if how, ok := o[test]; ok {
		return how
	}
	return absent
}

// A row is what the table says of a suite.
type row struct {
	suite            string // with its version
	direct, brokered outcomes
	differences      int
}

// table is written by the suites, which do not run at the same time.
var table []row

// compare fails t where a test ended in another way than the committed list
// says, or than directly where the list has nothing to say.
func compare(t *testing.T, suite, version string, direct, brokered outcomes) {
	t.Helper()
	list := readList(t, suite)
	tests := slices.Collect(maps.Keys(direct))
	for test := range brokered {
		if _, ok := direct[test]; !ok {
			tests = append(tests, test)
		}
	}
	slices.Sort(tests)
	r := row{suite + " " + version, direct, brokered, 0}
	var news []string
	for _, test := range tests {
		one, other := direct.of(test), brokered.of(test)
		if one != other {
			r.differences++
		}
		l, listed := list[test]
		delete(list, test)
		switch {
		case listed && l.allows(one, other):
		case !listed && one == passed && other == passed:
		default:
			news = append(news, fmt.Sprintf("%s %s %s", one, other, test))
		}
	}
	for test, l := range list {
		if !l.allows(absent, absent) {
			news = append(news, fmt.Sprintf("- - %s", test))
		}
	}
	table = append(table, r)
	slices.Sort(news)
	if len(news) > 0 {
		t.Errorf("not as testdata/differences/%s.txt says (direct, brokered, test):\n%s", suite, strings.Join(news, "\n"))
	}
}

// printTable prints what docs/compatibility.md shows.
func printTable(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nSUITE\tTESTS\tDIRECT (pass/fail/skip)\tBROKERED\tDIFFERENCES")
	for _, r := range table {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%d\n", r.suite, len(r.direct), r.direct.count(), r.brokered.count(), r.differences)
	}
	_ = tw.Flush() // to standard output
}
