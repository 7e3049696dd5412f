package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", name))
	require.NoError(t, err)
	return string(text)
}

// A variable that Dermaga does not know would be refused at its start, or, without
// its prefix, do nothing.
func TestDeployedSettingsExist(t *testing.T) {
	settings, err := os.ReadFile(filepath.Join(root, "docs", "settings.md"))
	require.NoError(t, err)
	const ofOthers = "POSTGRES_PASSWORD POSTGRES_DB POSTGRES_INITDB_ARGS"
	found := regexp.MustCompile(`(?m)^ +([A-Z][A-Z_]+):`).FindAllStringSubmatch(deployed(t, "docker-compose.yml"), -1)
	require.NotEmpty(t, found)
	for _, m := range found {
		if !strings.Contains(ofOthers, m[1]) {
			require.Contains(t, string(settings), "`"+m[1]+"`")
		}
	}
	for _, m := range regexp.MustCompile(`(--[a-z-]+) \(`).FindAllStringSubmatch(deployed(t, "dermaga.service"), -1) {
		require.Contains(t, string(settings), "`"+m[1]+"`")
	}
}

func TestDrainFitsIntoTheTimeToStop(t *testing.T) {
	settings, err := os.ReadFile(filepath.Join(root, "docs", "settings.md"))
	require.NoError(t, err)
	require.Regexp(t, "`--drain-timeout` .* `30s`", string(settings), "longer than this, and less than those")
	require.Contains(t, deployed(t, "dermaga.service"), "TimeoutStopSec=45s")
	require.Contains(t, deployed(t, "docker-compose.yml"), "stop_grace_period: 45s")
}

func TestUnitIsOneThatSystemdTakes(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze:", err)
	}
	unit := filepath.Join(t.TempDir(), "dermaga.service")
	text := strings.ReplaceAll(deployed(t, "dermaga.service"), "/usr/local/bin/dermaga", binary)
	require.NoError(t, os.WriteFile(unit, []byte(text), 0o600))
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "dermaga.service:", "a warning")
}

// The image is made of what the build stage makes and nothing else.
func TestImageIsNobodysAndEmpty(t *testing.T) {
	file := deployed(t, "Dockerfile")
	_, last, ok := strings.Cut(file, "\nFROM scratch\n")
	require.True(t, ok)
	require.Contains(t, last, "USER 65532:65532")
	require.NotContains(t, last, "RUN ")
	require.Equal(t, 2, strings.Count(last, "COPY --from=build "))
	version := regexp.MustCompile(`golang:(\d+\.\d+)`).FindStringSubmatch(file)
	require.NotNil(t, version)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(mod), "\ngo "+version[1], "the Go that go.mod names")
}
