package clients_test

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pins is a file of testdata that says which versions are installed.
func pins(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	return string(text)
}

// goModule is the version of a module that programs of this module are built with.
func goModule(t *testing.T, module string) string {
	t.Helper()
	list := program{path: need(t, "go", "golang-go"), args: []string{"list", "-m", "-f", "{{.Version}}", module}}
	return strings.TrimPrefix(strings.TrimSpace(list.run(t)), "v")
}

// nodePackage is the version of a package of testdata/node.
func nodePackage(t *testing.T, name string) string {
	t.Helper()
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	require.NoError(t, json.Unmarshal([]byte(pins(t, "node/package-lock.json")), &lock))
	require.Contains(t, lock.Packages, "node_modules/"+name)
	return lock.Packages["node_modules/"+name].Version
}

// pythonPackage is the version of a package of testdata/python.
func pythonPackage(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(pins(t, "python/requirements.txt")) {
		if version, found := strings.CutPrefix(strings.TrimSpace(line), name+"=="); found {
			return version
		}
	}
	require.Fail(t, "requirements.txt does not name "+name)
	return ""
}

// javaPackage is the version of an artifact of testdata/java.
func javaPackage(t *testing.T, artifact string) string {
	t.Helper()
	for _, j := range jars(t) { // group/artifact/version/artifact-version.jar
		if version := path.Dir(j.path); path.Base(path.Dir(version)) == artifact {
			return path.Base(version)
		}
	}
	require.Fail(t, "SHA256SUMS does not name "+artifact)
	return ""
}
