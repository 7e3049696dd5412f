package dermagatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// MainWithRelease runs tests of what `make build` makes, and exits. run gets the
// folder with the command dermaga, where other users may read, and returns the exit
// code. root is the repository's.
func MainWithRelease(name, root string, run func(dir string) int) {
	code, err := withRelease(root, run)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func withRelease(root string, run func(dir string) int) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), devLimit)
	defer cancel()
	dir, err := os.MkdirTemp("/tmp", "dermaga-release-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := errors.Join(os.Chmod(dir, 0o755), lookAtSources(ctx), LookAt(filepath.Join(root, "Makefile"))); err != nil {
		return 0, err
	}
	out := "OUT=" + filepath.Join(dir, "dermaga")
	if said, err := exec.CommandContext(ctx, "make", "-C", root, "build", out).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("make build: %w\n%s", err, said)
	}
	return run(dir), nil
}

// FreeAddress is one of this machine's that nobody listens at.
func FreeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}
