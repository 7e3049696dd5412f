package clients_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// programLimit is far above what any program here takes: a client that hangs
// shall fail its own test and not the whole run.
const programLimit = 2 * time.Minute

// A program is something to run in a test.
type program struct {
	path string
	args []string
	env  []string // beside the test's own environment
	dir  string
}

// run returns what the program printed. It must end well.
func (p program) run(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	defer cancel()
	out, complaints, err := p.try(ctx)
	require.NoError(t, err, "%s\n%s%s", filepath.Base(p.path), out, complaints)
	return out
}

// try returns both things that the program printed and how it ended.
func (p program) try(ctx context.Context) (out, complaints string, err error) {
	var stdout, stderr bytes.Buffer
	c := p.command(ctx)
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	return stdout.String(), stderr.String(), err
}

func (p program) command(ctx context.Context) *exec.Cmd {
	c := exec.CommandContext(ctx, p.path, p.args...)
	c.Dir = p.dir
	c.Env = append(dermagatest.Environ(), p.env...)
	return c
}

// need returns the program's path. Without it the test cannot run, which only
// CI calls a failure.
func need(t *testing.T, name, packages string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, packages)
	}
	return path
}

func missing(t *testing.T, what, packages string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: apt-get install %s", what, packages)
	}
	t.Skipf("%s is missing: apt-get install %s", what, packages)
}

// postgres returns the path of a client program of PostgreSQL, of the newest
// version where Debian's layout holds several.
func postgres(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	require.NoError(t, err)
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
	}
	return need(t, name, "postgresql-client postgresql")
}

// major is the version in /usr/lib/postgresql/VERSION/bin/name.
func major(path string) int {
	version := 0
	for _, digit := range filepath.Base(filepath.Dir(filepath.Dir(path))) {
		if digit < '0' || digit > '9' {
			return version
		}
		version = 10*version + int(digit-'0')
	}
	return version
}
