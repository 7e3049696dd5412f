package dermagatest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module  = "github.com/nusajournal/dermaga"
	command = module + "/cmd/dermaga"
)

// Build puts the command into the folder dir and returns where it is. With race
// it finds its own data races, and is several times slower.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if err := lookAtSources(ctx); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "dermaga")
	args := []string{"build", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	_, err := run(ctx, append(args, command)...)
	return binary, err
}

// lookAtSources looks at every file that the command is made of. go test takes
// note of that and does not answer from its cache after one has changed; what go
// build reads it does not see.
func lookAtSources(ctx context.Context) error {
	const ours = `{{if .Module}}{{if .Module.Main}}{{.Dir}}{{range .EmbedFiles}}
{{$.Dir}}/{{.}}{{end}}{{end}}{{end}}`
	out, err := run(ctx, "list", "-deps", "-f", ours, command)
	if err != nil {
		return err
	}
	for path := range strings.SplitSeq(out, "\n") {
		if path == "" { // of a package that is not ours
			continue
		}
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			_, err = os.ReadDir(path) // the files in it are noted with it
		}
		if err != nil {
			return fmt.Errorf("look at the sources: %w", err)
		}
	}
	return nil
}

// LookAt looks at every file below the folders. go test takes note of that, and does
// not answer from its cache after one has changed; what a command that the test runs
// reads it does not see.
func LookAt(folders ...string) error {
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("look at the sources: %w", err)
		}
	}
	return nil
}

// run runs the go command in the module's folder, wherever the test's own module is,
// and returns what it prints.
func run(ctx context.Context, args ...string) (string, error) {
	at, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = strings.TrimSpace(string(at))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, said.String())
	}
	return string(out), nil
}
