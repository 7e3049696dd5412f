package suites_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// suiteLimit bounds one run of a suite: the slowest takes two minutes here.
const suiteLimit = 8 * time.Minute

// A program is something to run in a test.
type program struct {
	path string
	args []string
	env  []string // beside the test's own environment
	dir  string
}

// run runs a suite until its end, or that of suiteLimit, and hands each line that
// it prints to hear. Tests that fail are no failure here.
func (p program) run(t *testing.T, hear func(line []byte)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteLimit)
	defer cancel()
	out, complaints, err := p.try(ctx)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	if ctx.Err() != nil {
		t.Errorf("%s did not end in %s", filepath.Base(p.path), suiteLimit)
	}
	lines := 0
	for line := range bytes.Lines(out) {
		hear(bytes.TrimSpace(line))
		lines++
	}
	if lines == 0 {
		t.Fatalf("%s said nothing but: %s", filepath.Base(p.path), complaints)
	}
	if *keep != "" {
		said, err := os.CreateTemp(*keep, t.Name()+"-*.out") // direct first
		require.NoError(t, err)
		_, err = said.Write(append(out, complaints...))
		require.NoError(t, errors.Join(err, said.Close()))
	}
}

// try returns both things that the program printed and how it ended. What it has
// started ends with it.
func (p program) try(ctx context.Context) (out, complaints []byte, err error) {
	c := exec.CommandContext(ctx, p.path, p.args...)
	c.Dir = p.dir
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 10 * time.Second
	c.Env = append(dermagatest.Environ(), p.env...)
	err = c.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}

// need returns the program's path, or fails: whoever asks for the suites wants
// them to run.
func need(t *testing.T, name, packages string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "%s is missing: apt-get install %s", name, packages)
	return path
}

// wish skips the test unless the suites are wanted.
func wish(t *testing.T) {
	t.Helper()
	if !*wanted {
		t.Skip("make test-suites runs it")
	}
}
