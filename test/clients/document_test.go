package clients_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what the tests find into the documents")

const (
	connecting    = "../../docs/connecting.md"
	compatibility = "../../docs/compatibility.md"
)

// stands is what a document has in the region of that name, between the lines
// "<!-- begin: name -->" and "<!-- end -->".
func stands(t *testing.T, document, name string) string {
	t.Helper()
	_, region, _ := cut(t, document, name)
	return region
}

// settle requires the region to be want, or makes it so with -update.
func settle(t *testing.T, document, name, want string) {
	t.Helper()
	before, region, after := cut(t, document, name)
	if *update && region != want {
		require.NoError(t, os.WriteFile(document, []byte(before+want+after), 0o644))
		return
	}
	require.Equal(t, want, region, "%s, region %s: `make test-clients` writes it anew", document, name)
}

func cut(t *testing.T, document, name string) (before, region, after string) {
	t.Helper()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	begin, end := "<!-- begin: "+name+" -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found, "%s has no %q", document, begin)
	region, after, found = strings.Cut(rest, end)
	require.True(t, found, "%s has no %q after %q", document, end, begin)
	return before + begin, region, end + after
}
