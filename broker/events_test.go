package broker

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the broker logs, its event and keys are names of events.go.
func TestLogUsesOneListOfEventsAndKeys(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	used := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !logs(call) {
				return true
			}
			require.Condition(t, func() bool { return named(call.Args[0], "event") }, "%s: an event without a name", name)
			used[call.Args[0].(*ast.Ident).Name] = true
			for i := 1; i < len(call.Args); i += 2 {
				require.Condition(t, func() bool { return named(call.Args[i], "key") }, "%s: a key without a name", name)
				used[call.Args[i].(*ast.Ident).Name] = true
			}
			return true
		})
	}
	text, err := os.ReadFile("events.go")
	require.NoError(t, err)
	list, err := parser.ParseFile(token.NewFileSet(), "events.go", text, 0)
	require.NoError(t, err)
	for name := range list.Scope.Objects {
		require.True(t, used[name], "%s is logged nowhere", name)
	}
}

// logs reports whether call is one of a field's named log.
func logs(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	logger, ok := method.X.(*ast.SelectorExpr)
	return ok && logger.Sel.Name == "log" && len(call.Args) > 0 && method.Sel.Name != "Handler"
}

func named(e ast.Expr, prefix string) bool {
	id, ok := e.(*ast.Ident)
	return ok && strings.HasPrefix(id.Name, prefix)
}
