package docs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/internal/pgtest"
)

// binaries is a folder with the command dermaga. TestMain sets it and nothing
// changes it afterwards.
var binaries string

func TestMain(m *testing.M) {
	dermagatest.MainWithRelease("test/docs", root, func(dir string) int {
		binaries = dir
		return pgtest.Run(m)
	})
}

// paths are the documents whose commands are executed.
func paths(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(root + "/docs/*.md")
	require.NoError(t, err)
	all := []string{"README.md"}
	for _, p := range found {
		all = append(all, "docs/"+filepath.Base(p))
	}
	return all
}

// elsewhere are the pages whose programs have a test of their own.
var elsewhere = map[string]string{"docs/connecting.md": "test/clients"}

func TestCommandsPrintWhatTheirPagesShow(t *testing.T) {
	for _, path := range paths(t) {
		t.Run(path, func(t *testing.T) {
			if by := elsewhere[path]; by != "" {
				t.Skip("its programs are run by", by)
			}
			p := read(t, path)
			if len(p.steps) == 0 {
				t.Skipf("no commands to run; %d blocks are not", p.idle)
			}
			w := newWorld(t, p.world)
			for _, s := range p.steps {
				printed, err := w.run(s)
				if s.hidden || s.script {
					require.NoError(t, err, "%s:%s\n%s", path, s, printed)
					continue
				}
				require.True(t, matches(s.output, printed), "%s:%s\nshown:\n%s\nprinted:\n%s", path, s, s.output, printed)
				requireSharp(t, s, printed)
			}
		})
	}
}

// requireSharp is the test of the test: one other character in what the page shows,
// wherever it is, must be noticed.
func requireSharp(t *testing.T, s step, printed string) {
	t.Helper()
	lines := strings.Split(trim(s.output), "\n")
	for i, line := range lines {
		for j, r := range line {
			if r == '…' {
				continue
			}
			other := 'x'
			if r == other {
				other = 'y'
			}
			changed := append([]string{}, lines...)
			changed[i] = line[:j] + string(other) + line[j+len(string(r)):]
			if matches(strings.Join(changed, "\n"), printed) {
				t.Fatalf("%s: %q could be %q", s, line, changed[i])
			}
		}
	}
}
