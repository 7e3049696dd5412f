package nestjs_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

const example = "../../examples/nestjs-prisma"

// programLimit is far above what any program here takes.
const programLimit = 2 * time.Minute

// build installs the example's packages, as npm ci does, and compiles it once.
var build struct {
	sync.Once
	dir string // "": it failed
}

// built returns a folder with dist/main.js in it.
func built(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		packages := installed(t, func(pins []string, npmCI func(context.Context, string) error) string {
			return dermagatest.InstalledFor(t, example, "test-nestjs", "app", nodeVersion(t), pins, npmCI)
		})
		dir := filepath.Join(dev.Dir, "app")
		for _, folder := range []string{"src", "prisma"} {
			require.NoError(t, os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(example, folder))))
		}
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "src/generated"))) // of somebody who works on it
		for _, file := range []string{"package.json", "tsconfig.json", "prisma.config.ts"} {
			text, err := os.ReadFile(filepath.Join(example, file))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o644))
		}
		require.NoError(t, os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")))
		// generate asks for the schema engine, which it does not use, and would
		// download it: any program that exits well will do.
		run(t, dir, []string{"PRISMA_SCHEMA_ENGINE_BINARY=/bin/true", "CHECKPOINT_DISABLE=1"}, "npm", "run", "generate")
		run(t, dir, nil, "npm", "run", "build")
		build.dir = dir
	})
	require.NotEmpty(t, build.dir, "the example was not built, see the test before")
	return build.dir
}

// installed leaves the place to where and gives it what pins and fetches packages.
func installed(t *testing.T, where func(pins []string, npmCI func(context.Context, string) error) string) string {
	t.Helper()
	return where([]string{"package.json", "package-lock.json"}, func(ctx context.Context, dir string) error {
		cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w\n%s", err, out)
		}
		return nil
	})
}

// nodeVersion is the version of Node.js, of which Prisma 7 needs 20.19.
func nodeVersion(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name+" is missing: apt-get install nodejs npm")
		}
	}
	version := strings.TrimSpace(run(t, "", nil, "node", "--version"))
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	first, err := strconv.Atoi(parts[0])
	require.NoError(t, err)
	second, err := strconv.Atoi(parts[1])
	require.NoError(t, err)
	if first < 20 || first == 20 && second < 19 {
		missing(t, "Prisma 7 needs Node.js 20.19 or later, this is "+version)
	}
	return version
}

// missing ends a test that cannot run, which only CI calls a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// run returns what a program prints. It must end well.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(dermagatest.Environ(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s%s", name, strings.Join(args, " "), out, said.String())
	return string(out)
}

// An app is the example while it runs.
type app struct{ url string }

// start runs the example with its broker at databaseURL until the test ends, and
// then asks it to end.
func start(t *testing.T, databaseURL string, env ...string) *app {
	t.Helper()
	cmd := exec.Command("node", "dist/main.js")
	cmd.Dir = built(t)
	cmd.Env = append(append(dermagatest.Environ(), "PORT=0", "DATABASE_URL="+databaseURL), env...)
	var said bytes.Buffer // read only when it has ended
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	address, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if at, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				address <- at
			}
		}
		ended <- cmd.Wait()
	}()
	a := &app{}
	t.Cleanup(func() {
		// Node waits for connections on which nothing was asked yet.
		http.DefaultClient.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which ended tells
		select {
		case err := <-ended:
			var by *exec.ExitError // Nest closes what is open and then ends itself by the signal
			require.ErrorAs(t, err, &by, said.String())
			require.Equal(t, "signal: terminated", by.String(), said.String())
			if t.Failed() {
				t.Logf("the application said:\n%s", said.String())
			}
		case <-time.After(programLimit):
			_ = cmd.Process.Kill()
			require.Fail(t, "the application does not end", "%v\n%s", <-ended, said.String())
		}
	})
	select {
	case a.url = <-address:
	case err := <-ended:
		ended <- err
		require.Fail(t, "the application ended at once", "%v\n%s", err, said.String())
	case <-time.After(programLimit):
		require.Fail(t, "the application does not start")
	}
	return a
}
