package examples_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModulesOfExamplesAreSound(t *testing.T) {
	modules, err := filepath.Glob("../../examples/*/go.mod")
	require.NoError(t, err)
	require.NotEmpty(t, modules)
	for _, module := range modules {
		dir := filepath.Dir(module)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			lookAt(t, dir)
			for _, sources := range []string{"admin", "broker", "cmd", "internal", "migrations", "registry", "tenancy", "go.mod"} {
				lookAt(t, filepath.Join("../..", sources))
			}
			for _, args := range [][]string{
				{"vet", "./..."},
				{"mod", "tidy", "-diff"},
				{"test", "-race", "-timeout", "10m", "./..."},
			} {
				cmd := exec.CommandContext(t.Context(), "go", args...)
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "go %s: %s", args[0], out)
			}
		})
	}
}

// lookAt looks at every file, so that go test does not answer from its cache after
// one has changed.
func lookAt(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	}))
}
