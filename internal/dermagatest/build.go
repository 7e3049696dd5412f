package dermagatest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

const command = "github.com/nusajournal/dermaga/cmd/dermaga"

// Build puts the command into the folder dir and returns where it is. With race
// it finds its own data races, and is several times slower.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	binary := filepath.Join(dir, "dermaga")
	args := []string{"build", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, command)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}
