package release_test

import (
	"path/filepath"
	"testing"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/internal/pgtest"
)

// root is the repository's.
const root = "../.."

// binary is what `make build` has made. TestMain sets it and nothing changes it
// afterwards.
var binary string

func TestMain(m *testing.M) {
	dermagatest.MainWithRelease("test/release", root, func(dir string) int {
		binary = filepath.Join(dir, "dermaga")
		return pgtest.Run(m)
	})
}
