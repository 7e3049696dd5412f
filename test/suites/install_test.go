package suites_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// installLimit bounds what npm and pip take on a slow line.
const installLimit = 5 * time.Minute

// installed returns a folder that fill has filled with packages. It lies in the
// user's cache, named after the files of testdata/what that pin the packages, so
// that only the first run after a change of those has to fetch anything.
func installed(t *testing.T, what, version string, pins []string, fill func(ctx context.Context, dir string) error) string {
	t.Helper()
	hash := sha256.New()
	fmt.Fprintln(hash, version, runtime.GOARCH)
	for _, pin := range pins {
		text, err := os.ReadFile(filepath.Join("testdata", what, pin))
		require.NoError(t, err)
		fmt.Fprintf(hash, "%s %d\n%s", pin, len(text), text)
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	dir := filepath.Join(cache, "dermaga", "test-suites", what+"-"+hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir
	}

	// Filled beside its place and then renamed: what stands there is complete.
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	half, err := os.MkdirTemp(filepath.Dir(dir), what+"-half-")
	require.NoError(t, err)
	defer os.RemoveAll(half)
	require.NoError(t, os.CopyFS(half, os.DirFS(filepath.Join("testdata", what))))
	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	require.NoError(t, fill(ctx, half))
	if err := os.Rename(half, dir); err != nil {
		_, there := os.Stat(dir) // another run may have been first
		require.NoError(t, there, err)
	}
	return dir
}

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
	dir = installed(t, "python", name+" "+string(is), []string{"requirements.txt"}, func(ctx context.Context, dir string) error {
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
