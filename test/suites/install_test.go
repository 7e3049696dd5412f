package suites_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// python returns the interpreter and a folder with the packages of
// testdata/python/requirements.txt in packages, and in sources what the sources of
// name hold, one of them.
func python(t *testing.T, name, version string) (interpreter, dir string) {
	t.Helper()
	// psycopg2's source does not unpack without pg_config.
	const packages = "python3 python3-pip python3-dev libpq-dev gcc"
	interpreter = need(t, "python3", packages)
	need(t, "pg_config", packages)
	is, _, err := program{path: interpreter, args: []string{"--version"}}.try(t.Context())
	require.NoError(t, err)
	dir = dermagatest.Installed(t, "test-suites", "python", name+" "+string(is), []string{"requirements.txt"}, func(ctx context.Context, dir string) error {
		pip := func(args ...string) error {
			args = append([]string{"-m", "pip"}, append(args, "--quiet", "--no-deps")...)
			if out, complaints, err := (program{path: interpreter, args: args, dir: dir}).try(ctx); err != nil {
				return fmt.Errorf("pip: %w\n%s%s", err, out, complaints)
			}
			return nil
		}
		if err := pip("install", "--only-binary", ":all:", "--target", "packages", "-r", "requirements.txt"); err != nil {
			return err
		}
		if err := pip("download", "--no-binary", ":all:", "--dest", "sources", name+"=="+version); err != nil {
			return err
		}
		archives, err := filepath.Glob(filepath.Join(dir, "sources", "*.tar.gz"))
		if err != nil {
			return err
		}
		for _, archive := range archives {
			if out, complaints, err := (program{path: "tar", args: []string{"xzf", archive, "-C", filepath.Join(dir, "sources")}}).try(ctx); err != nil {
				return fmt.Errorf("tar: %w\n%s%s", err, out, complaints)
			}
		}
		return nil
	})
	return interpreter, dir
}

// pinned is the version of a package in testdata/python/requirements.txt.
func pinned(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/python/requirements.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), name+"=="); ok {
			return version
		}
	}
	t.Fatalf("%s is not pinned", name)
	return ""
}
