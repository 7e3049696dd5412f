package layout_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/nusajournal/dermaga/"

// maxLines is where a file has become two subjects.
const maxLines = 600

// A rule says what the packages under one folder may import directly. Since
// every package of the module has a rule, what they reach through others is
// bounded too.
type rule struct {
	folder string   // the package and those under it, unless a longer folder matches
	own    []string // packages of this module; "x/..." means x and what is under it
	others []string // modules beside the standard library; nil means any
}

var nothing = []string{}

// The rules go downward: what stands later never imports what stands before.
var rules = []rule{
	{folder: "cmd/dermaga", own: []string{"cmd/dermaga/...", "broker", "registry/...", "admin/...", "migrations"}},
	{folder: "cmd/dermaga/privatepg", own: nothing},
	{folder: "bench", own: []string{"broker/wire"}},

	{folder: "admin", own: []string{"admin/...", "registry/...", "migrations"}},
	{folder: "admin/client", own: []string{"registry/..."}},
	{folder: "admin/fence", own: []string{"registry"}},
	{folder: "admin/provision", own: []string{"registry/...", "migrations"}},

	{folder: "broker", own: []string{"broker/relay", "broker/console", "broker/wire", "broker/poll", "registry/..."}},
	{folder: "broker/console", own: []string{"broker/wire"}, others: []string{"github.com/jackc/pgx/v5", "github.com/jackc/pgerrcode"}},
	{folder: "broker/relay", own: []string{"broker/wire", "broker/poll"}, others: []string{"golang.org/x/sys"}},
	{folder: "broker/poll", own: nothing, others: []string{"golang.org/x/sys"}},
	{folder: "broker/wire", own: nothing, others: nothing},

	{folder: "registry", own: []string{"registry/slug"}, others: []string{
		"github.com/jackc/pgx/v5", "github.com/jackc/pgerrcode", "github.com/hashicorp/golang-lru/v2", "golang.org/x/sync",
	}},
	{folder: "registry/slug", own: nothing, others: nothing},
	{folder: "registry/peer", own: []string{"registry"}, others: nothing},
	{folder: "tenancy", own: []string{"registry/slug"}, others: []string{"github.com/jackc/pgx/v5", "github.com/jackc/pgerrcode"}},
	{folder: "migrations", own: nothing, others: []string{
		"github.com/jackc/pgx/v5", "github.com/jackc/pgerrcode", "github.com/golang-migrate/migrate/v4",
	}},

	{folder: "internal/pgtest", own: []string{"cmd/dermaga/privatepg"}},
	{folder: "internal/fakepg", own: nothing},
	{folder: "internal/layout", own: nothing},
	{folder: "internal/dermagatest", own: nothing},
	{folder: "internal/relaytest", own: []string{"broker/relay", "broker/wire", "internal/pgtest"}},
	{folder: "test", own: nothing},
}

func TestPackagesImportOnlyDownward(t *testing.T) {
	for _, f := range files(t) {
		r, found := ruleOf(f.folder)
		if !found {
			t.Errorf("%s has no rule here: say what it may import", f.folder)
			continue
		}
		for _, imported := range f.imports {
			if !f.test && !r.allows(imported) {
				t.Errorf("%s: %s may not import %s", f.path, r.folder, imported)
			}
		}
	}
}

func TestOnlyTestsImportInternal(t *testing.T) {
	for _, f := range files(t) {
		if f.test || under("internal", f.folder) {
			continue
		}
		for _, imported := range f.imports {
			if strings.HasPrefix(imported, module+"internal/") {
				t.Errorf("%s imports %s, which is for tests", f.path, imported)
			}
		}
	}
}

func TestNoFileIsTwoSubjectsLong(t *testing.T) {
	for _, f := range files(t) {
		if f.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d", f.path, f.lines, maxLines)
		}
	}
}

func TestEveryDependencyHasItsReason(t *testing.T) {
	goMod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	reasons, err := os.ReadFile("../../docs/decisions/002-dependencies.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(goMod)) {
		name, version, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || !strings.HasPrefix(version, "v") || strings.HasSuffix(version, "// indirect") {
			continue
		}
		require.Contains(t, string(reasons), "`"+name+"`")
	}
}

// A file is one Go file of this module.
type file struct {
	path, folder string // from the module's root, with slashes
	test         bool
	imports      []string
	lines        int
}

// files reads every Go file of this module. It walks the folders itself rather
// than ask `go list`, so that go test sees what was read and does not answer
// from its cache after a file was added.
func files(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []file
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && elsewhere(path) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := read(root, path)
		all = append(all, f)
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

// elsewhere holds for folders whose Go files are not this module's.
func elsewhere(folder string) bool {
	name := filepath.Base(folder)
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func read(root, path string) (file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return file{}, err
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
	if err != nil {
		return file{}, err
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		return file{}, err
	}
	name = filepath.ToSlash(name)
	f := file{
		path:   name,
		folder: pathpkg.Dir(name),
		test:   strings.HasSuffix(name, "_test.go"),
		lines:  bytes.Count(text, []byte("\n")),
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// ruleOf returns the rule with the longest folder that holds the package.
func ruleOf(folder string) (rule, bool) {
	var best rule
	for _, r := range rules {
		if under(r.folder, folder) && len(r.folder) > len(best.folder) {
			best = r
		}
	}
	return best, best.folder != ""
}

func (r rule) allows(imported string) bool {
	if own, ok := strings.CutPrefix(imported, module); ok {
		return slices.ContainsFunc(r.own, func(allowed string) bool {
			if tree, ok := strings.CutSuffix(allowed, "/..."); ok {
				return under(tree, own)
			}
			return own == allowed
		})
	}
	if inStandardLibrary(imported) || r.others == nil {
		return true
	}
	return slices.ContainsFunc(r.others, func(m string) bool { return under(m, imported) })
}

func under(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// inStandardLibrary holds for paths whose first element has no dot: the go
// command keeps such paths for the standard library.
func inStandardLibrary(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
