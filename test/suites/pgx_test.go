package suites_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const pgx5 = "github.com/jackc/pgx/v5"

// temporary is what differs from run to run in the names of tests that have a path.
var temporary = regexp.MustCompile(`(/Test[^/]*?)\d+/`)

// What pgx asks for in its testsetup/postgresql_setup.sql.
const pgxSetup = `
CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE DOMAIN uint64 AS numeric(20,0);
CREATE ROLE " tricky, ' } "" \ test user " SUPERUSER PASSWORD 'secret'`

// The version is the one that the broker itself is built with.
func TestPgx(t *testing.T) {
	wish(t)
	goes := need(t, "go", "golang")
	source, version := module(t, goes, pgx5)
	direct, brokered := roads(t, "suite-pgx", pgxSetup)
	run := func(r road) outcomes { return goTest(t, goes, source, r) }
	compare(t, "pgx", version, run(direct), run(brokered))
}

// module copies a module that go.mod requires to where its tests may write.
func module(t *testing.T, goes, path string) (dir, version string) {
	t.Helper()
	out, complaints, err := program{path: goes, args: []string{"mod", "download", "-json", path}}.try(t.Context())
	require.NoError(t, err, "%s%s", out, complaints)
	var got struct{ Dir, Version string }
	require.NoError(t, json.Unmarshal(out, &got))
	dir = filepath.Join(t.TempDir(), "module")
	require.NoError(t, os.CopyFS(dir, os.DirFS(got.Dir)))
	return dir, got.Version
}

// goTest runs the module's tests, one package after another: some look at all
// sessions of the server.
func goTest(t *testing.T, goes, dir string, r road) outcomes {
	t.Helper()
	verified := []string{"sslmode", "verify-full", "sslrootcert", authority()}
	all := outcomes{}
	program{
		path: goes, dir: dir,
		args: []string{"test", "-json", "-count", "1", "-vet", "off", "-p", "1", "-timeout", "5m", "./..."},
		env: []string{
			"GOFLAGS=-mod=mod",
			"PGX_TEST_DATABASE=" + r.plain(),
			"PGX_TEST_TCP_CONN_STRING=" + r.plain(),
			"PGX_TEST_SCRAM_PASSWORD_CONN_STRING=" + r.at("sslmode", "disable", "channel_binding", "disable"),
			"PGX_TEST_SCRAM_PLUS_CONN_STRING=" + r.at(append(verified, "channel_binding", "require")...),
			"PGX_TEST_TLS_CONN_STRING=" + r.at(append(verified, "channel_binding", "disable")...),
			"PGX_TEST_PGBOUNCER_CONN_STRING=" + r.plain(),
		},
	}.run(t, func(line []byte) {
		var e struct{ Action, Package, Test string }
		if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil || e.Test == "" {
			return
		}
		test := strings.TrimPrefix(strings.TrimPrefix(e.Package, pgx5), "/")
		test = strings.TrimSpace(test + " " + temporary.ReplaceAllString(e.Test, "$1/"))
		switch e.Action {
		case "run":
			all[test] = hung
		case "pass", "fail", "skip":
			all[test] = outcome(e.Action)
		}
	})
	return all
}
