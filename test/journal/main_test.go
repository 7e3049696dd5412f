package journal_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

const example = "../../examples/journal-api"

// world is what all tests share: TestMain sets it and no test changes it.
var world struct {
	*dermagatest.Dev
	api       string // the example's binary
	brokerURL string // of the API's service login, without a database
}

func TestMain(m *testing.M) {
	dermagatest.MainWithDev(m, "test/journal", func(ctx context.Context, d *dermagatest.Dev) (err error) {
		world.Dev = d
		if err := buildExample(ctx); err != nil {
			return err
		}
		world.brokerURL, err = d.URL(ctx, "login", "create", "journal-api", "--service", "--grant", "all")
		return err
	})
}

// buildExample builds the API as its README says.
func buildExample(ctx context.Context) error {
	if err := dermagatest.LookAt(example, "../../tenancy"); err != nil {
		return err
	}
	world.api = filepath.Join(world.Dir, "journal-api")
	build := exec.CommandContext(ctx, "go", "build", "-race", "-o", world.api, ".")
	build.Dir = example
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the example: %w\n%s", err, out)
	}
	return nil
}
