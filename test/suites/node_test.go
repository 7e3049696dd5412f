package suites_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// pg-pool and pg-cursor are packages of node-postgres: the newest versions that
// were published with their tests.
func TestPgPool(t *testing.T) { mochaSuite(t, "pg-pool") }

func TestPgCursor(t *testing.T) { mochaSuite(t, "pg-cursor") }

// mochaSuite compares a package's tests both ways.
func mochaSuite(t *testing.T, name string) {
	t.Helper()
	wish(t)
	node, packages := node(t)
	work := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(work, name), os.DirFS(filepath.Join(packages, name))))
	require.NoError(t, os.Symlink(packages, filepath.Join(work, "node_modules")))
	reporter, err := filepath.Abs("testdata/node/reporter.cjs")
	require.NoError(t, err)
	direct, brokered := roads(t, "suite-"+name, "SELECT")
	run := func(r road) outcomes {
		all := outcomes{}
		program{
			path: node, dir: filepath.Join(work, name), env: nodeEnv(r),
			// pg-pool's tests end at any warning, and are older than some.
			args: []string{"--no-deprecation", filepath.Join(packages, "mocha/bin/mocha.js"), "--reporter", reporter, "--exit", "test"},
		}.run(t, all.line)
		return all
	}
	compare(t, name, nodeVersion(t, packages, name), run(direct), run(brokered))
}

// fileLimit bounds one file of node-postgres' tests, whose own limit for a test is
// five seconds.
const fileLimit = time.Minute

// node-postgres' own tests are in no package. NODE_POSTGRES names a checkout of its
// repository, to run them on the published package. Each file counts as one test.
func TestNodePostgres(t *testing.T) {
	wish(t)
	checkout := os.Getenv("NODE_POSTGRES")
	if checkout == "" {
		t.Skip("NODE_POSTGRES names no checkout of node-postgres")
	}
	node, packages := node(t)
	work := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(work, "pg"), os.DirFS(filepath.Join(packages, "pg"))))
	require.NoError(t, os.CopyFS(filepath.Join(work, "pg", "test"), os.DirFS(filepath.Join(checkout, "packages/pg/test"))))
	require.NoError(t, os.Symlink(packages, filepath.Join(work, "node_modules")))
	tests := filepath.Join(work, "pg", "test", "integration")
	files, err := filepath.Glob(filepath.Join(tests, "*", "*-tests.js"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	direct, brokered := roads(t, "suite-pg", "SELECT")
	run := func(r road) outcomes {
		all := outcomes{}
		for _, file := range files {
			all[strings.TrimPrefix(file, tests+"/")] = ends(t, program{path: node, args: []string{file}, dir: filepath.Join(work, "pg"), env: nodeEnv(r)})
		}
		return all
	}
	compare(t, "node-postgres", nodeVersion(t, packages, "pg"), run(direct), run(brokered))
}

// ends is how a program ends that is one test.
func ends(t *testing.T, p program) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fileLimit)
	defer cancel()
	out, complaints, err := p.try(ctx)
	switch {
	case ctx.Err() != nil:
		return hung
	case err != nil:
		t.Logf("%s: %s\n%s%s", filepath.Base(p.args[0]), err, out, complaints)
		return failed
	}
	return passed
}

// nodeEnv tells node-postgres where to go.
func nodeEnv(r road) []string {
	return []string{
		"PGHOST=" + r.url.Hostname(), "PGPORT=" + r.url.Port(), "PGDATABASE=" + r.database(),
		"PGUSER=" + r.url.User.Username(), "PGPASSWORD=" + r.password(),
	}
}

// node returns the interpreter and the folder with the packages of
// testdata/node/package-lock.json.
func node(t *testing.T) (interpreter, packages string) {
	t.Helper()
	interpreter, npm := need(t, "node", "nodejs npm"), need(t, "npm", "nodejs npm")
	version, _, err := program{path: interpreter, args: []string{"--version"}}.try(t.Context())
	require.NoError(t, err)
	dir := dermagatest.Installed(t, "test-suites", "node", string(version), []string{"package.json", "package-lock.json"}, func(ctx context.Context, dir string) error {
		install := program{path: npm, args: []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund"}, dir: dir}
		if out, complaints, err := install.try(ctx); err != nil {
			return fmt.Errorf("npm ci: %w\n%s%s", err, out, complaints)
		}
		return nil
	})
	return interpreter, filepath.Join(dir, "node_modules")
}

func nodeVersion(t *testing.T, packages, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(packages, name, "package.json"))
	require.NoError(t, err)
	var is struct{ Version string }
	require.NoError(t, json.Unmarshal(text, &is))
	return is.Version
}
