package suites_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAsyncpg(t *testing.T) {
	wish(t)
	direct, brokered := roads(t, "suite-asyncpg", "SELECT")
	pythonSuite(t, "asyncpg", "asyncpg", direct, brokered, func(r road) []string {
		return []string{
			"PGHOST=" + r.url.Hostname(), "PGPORT=" + r.url.Port(), "PGDATABASE=" + r.database(),
			"PGUSER=" + r.url.User.Username(), "PGPASSWORD=" + r.password(), "PGSSLMODE=disable",
		}
	})
}

// Its tests are those of the source package, its C code is the binary one's.
func TestPsycopg2(t *testing.T) {
	wish(t)
	direct, brokered := roads(t, "suite-psycopg", "CREATE EXTENSION hstore")
	pythonSuite(t, "psycopg2", "psycopg2-binary", direct, brokered, func(r road) []string {
		return []string{
			"PSYCOPG2_TESTDB=" + r.database(), "PSYCOPG2_TESTDB_HOST=" + r.url.Hostname(), "PSYCOPG2_TESTDB_PORT=" + r.url.Port(),
			"PSYCOPG2_TESTDB_USER=" + r.url.User.Username(), "PSYCOPG2_TESTDB_PASSWORD=" + r.password(), "PGSSLMODE=disable",
		}
	})
}

// pythonSuite compares a package's tests both ways; env tells them where to go.
func pythonSuite(t *testing.T, suite, name string, direct, brokered road, env func(road) []string) {
	t.Helper()
	version := pinned(t, name)
	interpreter, dir := python(t, name, version)
	sources, err := filepath.Glob(filepath.Join(dir, "sources", "*-"+version))
	require.NoError(t, err)
	require.Len(t, sources, 1)
	// Beside nothing but themselves: the source package would be imported else.
	work := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(work, "tests"), os.DirFS(filepath.Join(sources[0], "tests"))))
	rename(t, filepath.Join(work, "tests"), "database='postgres'", fmt.Sprintf("database='%s'", direct.database()))
	script, err := filepath.Abs("testdata/python/run.py")
	require.NoError(t, err)
	run := func(r road) outcomes {
		all := outcomes{}
		program{
			path: interpreter, args: []string{script}, dir: work,
			env: append(env(r), "PYTHONPATH="+filepath.Join(dir, "packages")+":"+work, "PYTHONDONTWRITEBYTECODE=1"),
		}.run(t, all.line)
		return all
	}
	compare(t, suite, version, run(direct), run(brokered))
}

// rename replaces a name in the Python files of a folder: asyncpg's tests connect
// to the database postgres here and there, which is no tenant's.
func rename(t *testing.T, dir, old, now string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.py"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte(old), []byte(now)), 0o644))
	}
}

// line notes what a runner of ours says: how a test ended, and which.
func (o outcomes) line(line []byte) {
	how, test, ok := strings.Cut(string(line), " ")
	switch outcome(how) {
	case passed, failed, skipped:
		if ok {
			o[test] = outcome(how)
		}
	case "run":
		o[test] = hung
	}
}
