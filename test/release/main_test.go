package release_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

// root is the repository's.
const root = "../.."

// binary is what `make build` has made. TestMain sets it and nothing changes it
// afterwards.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "dermaga-release-")
	if err == nil {
		binary = filepath.Join(dir, "dermaga")
		var said []byte
		if said, err = exec.Command("make", "-C", root, "build", "OUT="+binary).CombinedOutput(); err != nil {
			err = fmt.Errorf("make build: %w\n%s", err, said)
		}
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/release:", err)
	} else {
		code = pgtest.Run(m)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
