package suites_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A listed test did not pass both ways, for a reason.
type listed struct {
	direct, brokered outcome
	reason           string
}

// varies stands in the list for an outcome that is not the same at every run.
const varies outcome = "any"

// allows reports whether the test may end so.
func (l listed) allows(direct, brokered outcome) bool {
	return (l.direct == varies || l.direct == direct) && (l.brokered == varies || l.brokered == brokered)
}

// readList reads a suite's list by the names of the tests. Each has a reason.
func readList(t *testing.T, suite string) map[string]listed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "differences", suite+".txt"))
	require.NoError(t, err)
	list := map[string]listed{}
	reason, done := "", false // done: the reason has been given to a test
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(line, "#")
		switch {
		case line == "":
			continue
		case isComment:
			if done {
				reason, done = "", false
			}
			reason = strings.TrimSpace(reason + " " + strings.TrimSpace(comment))
			continue
		}
		require.NotEmpty(t, reason, "no reason above %q", line)
		direct, rest, _ := strings.Cut(line, " ")
		brokered, test, ok := strings.Cut(rest, " ")
		require.True(t, ok, "not three words: %q", line)
		require.NotContains(t, list, test)
		list[test], done = listed{outcome(direct), outcome(brokered), reason}, true
	}
	return list
}

func TestEveryListedTestHasAReason(t *testing.T) {
	files, err := filepath.Glob("testdata/differences/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		readList(t, strings.TrimSuffix(filepath.Base(f), ".txt"))
	}
}
