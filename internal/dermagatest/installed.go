package dermagatest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// installLimit bounds what npm and pip take on a slow line.
const installLimit = 5 * time.Minute

// Installed returns a folder that fill has filled with packages, beginning with a
// copy of testdata/what. It lies in the user's cache, below suite, named after the
// contents of the files of testdata/what that pin the packages, so that only the
// first run after a change of those has to fetch anything.
func Installed(t *testing.T, suite, what, version string, pins []string, fill func(ctx context.Context, dir string) error) string {
	t.Helper()
	from := filepath.Join("testdata", what)
	return installed(t, from, suite, what, version, pins, func(ctx context.Context, dir string) error {
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			return err
		}
		return fill(ctx, dir)
	})
}

// InstalledFor is Installed for a program elsewhere in the repository: the folder
// begins with a copy of its pins only, which lie in the folder from.
func InstalledFor(t *testing.T, from, suite, what, version string, pins []string, fill func(ctx context.Context, dir string) error) string {
	t.Helper()
	return installed(t, from, suite, what, version, pins, func(ctx context.Context, dir string) error {
		for _, pin := range pins {
			text, err := os.ReadFile(filepath.Join(from, pin))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, pin), text, 0o644); err != nil {
				return err
			}
		}
		return fill(ctx, dir)
	})
}

func installed(t *testing.T, from, suite, what, version string, pins []string, fill func(ctx context.Context, dir string) error) string {
	t.Helper()
	hash := sha256.New()
	fmt.Fprintln(hash, version, runtime.GOARCH)
	for _, pin := range pins {
		text, err := os.ReadFile(filepath.Join(from, pin))
		require.NoError(t, err)
		fmt.Fprintf(hash, "%s %d\n%s", pin, len(text), text)
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	dir := filepath.Join(cache, "dermaga", suite, what+"-"+hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir
	}

	// Filled beside its place and then renamed: what stands there is complete.
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	half, err := os.MkdirTemp(filepath.Dir(dir), what+"-half-")
	require.NoError(t, err)
	defer os.RemoveAll(half)
	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	require.NoError(t, fill(ctx, half))
	if err := os.Rename(half, dir); err != nil {
		_, there := os.Stat(dir) // another run may have been first
		require.NoError(t, there, err)
	}
	return dir
}

// Environ is the test's own environment without libpq's variables, which would
// change what a connection string says.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
}
