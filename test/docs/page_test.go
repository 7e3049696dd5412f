package docs_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the repository's.
const root = "../.."

// A page is a document, as far as its commands go.
type page struct {
	path  string // from the root
	world string // "": none
	steps []step
	idle  int // blocks that are not run
}

// A step is something to execute.
type step struct {
	line    int // where it stands
	command string
	hidden  bool   // in a comment
	script  bool   // must succeed, whatever it prints
	until   string // goes on beside the next ones once it has printed this
	output  string // that the page shows; of hidden ones and scripts, none
}

func (s step) String() string { return fmt.Sprintf("line %d: %s", s.line, s.command) }

// shells are the languages of blocks that somebody might paste into a terminal.
var shells = map[string]bool{"sh": true, "console": true, "bash": true, "shell": true}

// read reads the page at path.
func read(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(root + "/" + path)
	require.NoError(t, err)
	p := page{path: path}
	lines := strings.Split(string(text), "\n")
	var until, notRun string
	for i := 0; i < len(lines); i++ {
		if key, value, ok := comment(lines[i]); ok {
			switch key {
			case "world":
				p.world = value
			case "run":
				p.steps = append(p.steps, step{line: i + 1, command: value, hidden: true})
			case "until":
				until = value
			case "not run":
				require.NotEmpty(t, value, "%s:%d: say why", path, i+1)
				notRun = value
			}
			continue
		}
		language, fenced := strings.CutPrefix(lines[i], "```")
		if !fenced {
			continue
		}
		begin := i + 1
		for i++; i < len(lines) && lines[i] != "```"; i++ {
		}
		require.Less(t, i, len(lines), "%s:%d: no end", path, begin)
		switch {
		case !shells[language]:
			for _, l := range lines[begin:i] {
				require.False(t, strings.HasPrefix(l, "$ "), "%s:%d: commands are in a block sh or console", path, begin)
			}
		case notRun != "":
			p.idle++
		case language == "console":
			p.steps = append(p.steps, console(t, path, lines[begin:i], begin, until)...)
		default:
			require.Equal(t, "sh", language, "%s:%d", path, begin)
			p.steps = append(p.steps, step{line: begin + 1, command: strings.Join(lines[begin:i], "\n"), script: true, until: until})
		}
		until, notRun = "", ""
	}
	return p
}

// comment reads a comment that is for this test.
func comment(line string) (key, value string, ok bool) {
	text, ok := strings.CutPrefix(line, "<!-- ")
	if !ok {
		return "", "", false
	}
	text, ok = strings.CutSuffix(text, " -->")
	key, value, found := strings.Cut(text, ": ")
	return key, value, ok && found
}

// console reads the commands of a block, each with its output.
func console(t *testing.T, path string, lines []string, begin int, until string) (steps []step) {
	t.Helper()
	for i, line := range lines {
		command, is := strings.CutPrefix(line, "$ ")
		more, goesOn := strings.CutPrefix(line, "> ")
		last := len(steps) - 1
		switch {
		case is:
			steps = append(steps, step{line: begin + i + 1, command: command, until: until})
		case last < 0:
			t.Fatalf("%s:%d: a block of console begins with a command", path, begin)
		case goesOn && steps[last].output == "":
			steps[last].command += "\n" + more
		default:
			steps[last].output += line + "\n"
		}
	}
	return steps
}
