package examples_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

func TestModulesOfExamplesAreSound(t *testing.T) {
	modules, err := filepath.Glob("../../examples/*/go.mod")
	require.NoError(t, err)
	require.NotEmpty(t, modules)
	for _, module := range modules {
		dir := filepath.Dir(module)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			require.NoError(t, dermagatest.LookAt(dir))
			for _, sources := range []string{"admin", "broker", "cmd", "internal", "migrations", "registry", "tenancy", "go.mod"} {
				require.NoError(t, dermagatest.LookAt(filepath.Join("../..", sources)))
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
