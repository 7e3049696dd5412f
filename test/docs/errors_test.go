package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every error that a client of the broker can get stands in docs/errors.md, with its
// SQLSTATE and message, and nothing else does.
func TestErrorsOfTheBrokerAreAllThere(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/errors.md")
	require.NoError(t, err)
	rows := map[string]string{} // SQLSTATE by message
	for _, m := range regexp.MustCompile("(?m)^\\| ([0-9A-Z]{5}) \\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		rows[m[2]] = m[1]
	}
	found := errorsIn(t, root+"/broker")
	require.Greater(t, len(found), 40, "they are found")
	for message, code := range found {
		require.Equal(t, code, rows[message], message)
	}
	for message := range rows {
		require.Contains(t, found, message, "none of the broker's")
	}
}

// errorsIn returns the SQLSTATE of each clientError in a package, by its message, in
// which … stands for what differs.
func errorsIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	codes := sqlstates(t)
	files, err := filepath.Glob(folder + "/*.go")
	require.NoError(t, err)
	found := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "clientError" {
				return true
			}
			code, message := "", ""
			for _, e := range literal.Elts {
				field := e.(*ast.KeyValueExpr)
				switch field.Key.(*ast.Ident).Name {
				case "code":
					code = codes[lastName(field.Value)]
				case "msg":
					message = text(field.Value)
				}
			}
			if code != "" && message != "…" && message != "" { // else it passes on another's
				found[message] = code
			}
			return true
		})
	}
	return found
}

// lastName is Name of package.Name, and of Name.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// text is what an expression says, … where it depends.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			return "…"
		}
		return s
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	case *ast.CallExpr:
		if lastName(e.Fun) == "Sprintf" {
			return regexp.MustCompile(`%[sd]`).ReplaceAllString(strings.ReplaceAll(text(e.Args[0]), "%q", `"…"`), "…")
		}
	}
	return "…"
}

// sqlstates are pgerrcode's names, and the broker's own.
func sqlstates(t *testing.T) map[string]string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/jackc/pgerrcode").Output()
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "errcode.go"))
	require.NoError(t, err)
	codes := map[string]string{"codeTransactionTimeout": "25P04"}
	for _, m := range regexp.MustCompile(`(\w+)\s+= "([0-9A-Z]{5})"`).FindAllStringSubmatch(string(source), -1) {
		codes[m[1]] = m[2]
	}
	return codes
}
