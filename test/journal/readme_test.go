package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block is commands of the README and what it says they print: "" if nothing.
type block struct{ commands, prints string }

func readme(t *testing.T) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(example, "README.md"))
	require.NoError(t, err)
	fences := regexp.MustCompile("(?ms)^```(sh|json|console)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	for _, f := range fences {
		switch {
		case f[1] == "sh":
			blocks = append(blocks, block{commands: f[2]})
		case len(blocks) > 0:
			blocks[len(blocks)-1].prints = f[2]
		}
	}
	return blocks
}

// The README's commands run in its order, in folders of the test's own, and print
// what it says, other than the day.
func TestTheReadmeOfTheExampleIsTrue(t *testing.T) {
	for _, program := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") != "true" {
			t.Skip("install " + program)
		}
	}
	ctx := bounded(t)
	root := t.TempDir()
	folder := filepath.Join(root, "examples", "journal-api")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(root, "bin"), 0o755))
	require.NoError(t, os.Symlink(world.Binary, filepath.Join(root, "bin", "dermaga")))
	require.NoError(t, os.Symlink(world.api, filepath.Join(folder, "journal-api")))

	slug := settle(ctx, t, 1).companies[0].slug
	here := strings.NewReplacer(
		"\ngo build .\n", "\n", // it is built, with -race
		"login create journal-api", "login create journal-"+slug, // there is one of that name
		"demo", slug, // each run has a company of its own
	)
	blocks := readme(t)
	require.Len(t, blocks, 7)
	out := shell(ctx, t, root, here.Replace(blocks[0].commands)+`printf '%s' "$JOURNAL_BROKER_URL" >../../url`)
	require.Equal(t, here.Replace(blocks[0].prints), out)
	require.Equal(t, "./journal-api serve\n", blocks[1].commands)
	url, err := os.ReadFile(filepath.Join(root, "url"))
	require.NoError(t, err)
	tn := &town{users: filepath.Join(folder, "users.json")}
	base := tn.serve(ctx, t, string(url))

	login := strings.ReplaceAll(here.Replace(blocks[2].commands), "http://127.0.0.1:8080", base)
	for _, b := range blocks[3:] {
		require.NotEmpty(t, b.prints)
		out := shell(ctx, t, root, login+b.commands)
		require.Equal(t, sameDay(b.prints), sameDay(out), b.commands)
	}
}

func shell(ctx context.Context, t *testing.T, dir string, script string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DERMAGA_ADMIN_URL="+world.Info.Admin, "DERMAGA_TOKEN="+world.Info.Token)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s", script, said.String())
	return string(out)
}

var (
	dayOf  = regexp.MustCompile(`\d{4}-\d{2}(-\d{2})?`)
	yearOf = regexp.MustCompile(`/\d{4}/`)
)

// sameDay is text with every day the same, and JSON without spaces.
func sameDay(text string) string {
	var short bytes.Buffer
	if json.Compact(&short, []byte(text)) == nil {
		text = short.String()
	}
	return yearOf.ReplaceAllString(dayOf.ReplaceAllString(text, "DAY"), "/YEAR/")
}
