package docs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/internal/pgtest"
)

// patience bounds one command; `make run` builds first.
const patience = 3 * time.Minute

// A world is where a page's commands run, one after another, in one shell as far
// as they can tell.
type world struct {
	t     *testing.T
	dir   string            // of the run
	built bool              // its page begins in the repository
	ports map[string]string // of the run, by those that pages name
	env   []string
}

// shown are the ports that pages name. Each run has its own.
var shown = []string{"6432", "6433"}

func newWorld(t *testing.T, kind string) *world {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dermaga-docs-") // where PostgreSQL, which is not root, may read
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	w := &world{t: t, dir: dir, ports: map[string]string{}}
	for _, p := range shown {
		_, port, err := net.SplitHostPort(dermagatest.FreeAddress(t))
		require.NoError(t, err)
		w.ports[p] = port
	}
	w.env = append(slices.DeleteFunc(dermagatest.Environ(), ofDermaga),
		"PATH="+binaries+":"+os.Getenv("PATH"), "DERMAGA_DATA="+filepath.Join(dir, "data"), "PSQLRC=/dev/null", "PAGER=cat", "LC_ALL=C.UTF-8", "TZ=UTC",
		"DERMAGA_LISTEN=127.0.0.1:"+w.ports["6432"], "DERMAGA_ADMIN_LISTEN=127.0.0.1:"+w.ports["6433"])
	switch kind {
	case "":
		w.built = true
	case "dev":
		w.beside(step{command: "dermaga dev", until: "Ctrl-C ends everything"})
	case "server":
		w.env = append(w.env, "SERVER="+pgtest.URL(t))
	default:
		t.Fatalf("there is no world %q", kind)
	}
	return w
}

// ofDermaga is what a developer may have in the environment.
func ofDermaga(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return strings.HasPrefix(name, "DERMAGA_") || slices.Contains([]string{
		"REGISTRY_DATABASE_URL", "DATABASE_URL", "ENCRYPTION_KEY", "TENANT_DB_HOST", "TENANT_DB_PORT", "MAX_CONNECTIONS", "CONNECTION_TTL",
	}, name)
}

// command is s as a process of this world. What it exports is there for the next.
func (w *world) command(ctx context.Context, s step) *exec.Cmd {
	text := s.command
	for _, p := range slices.Sorted(maps.Keys(w.ports)) {
		text = strings.ReplaceAll(text, ":"+p, ":"+w.ports[p])
	}
	strict := ""
	if s.script || s.hidden {
		strict = "set -euo pipefail"
	}
	state := filepath.Join(w.dir, "state")
	cmd := exec.CommandContext(ctx, "bash", "-c", fmt.Sprintf(`
[ -f %[1]s ] && . %[1]s
trap 'rc=$?; export -p >%[1]s; exit $rc' EXIT
%[2]s
%[3]s`, state, strict, text))
	cmd.Dir, cmd.Env = w.dir, w.env
	if w.built { // its commands begin with make
		cmd.Dir = root
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// asShown is what the reader would have seen.
func (w *world) asShown(printed string) string {
	for _, p := range shown {
		for _, before := range []string{":", "port "} {
			printed = strings.ReplaceAll(printed, before+w.ports[p], before+p)
		}
	}
	return printed
}

// run executes s and returns what it prints.
func (w *world) run(s step) (printed string, err error) {
	if s.until != "" {
		return w.beside(s), nil
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	out, err := w.command(ctx, s).CombinedOutput()
	return w.asShown(string(out)), err
}

// beside starts s, which goes on until the page ends, and returns what it has
// printed when what it waits for is there.
func (w *world) beside(s step) string {
	cmd := w.command(context.Background(), s)
	log := &dermagatest.Log{}
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	w.t.Cleanup(func() {
		require.NoError(w.t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		select {
		case err := <-ended:
			if err != nil && !errors.As(err, new(*exec.ExitError)) { // make tells of the signal
				w.t.Error(err)
			}
		case <-time.After(patience):
			w.t.Errorf("%s does not end", s)
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(log.String(), s.until) {
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- nil
			w.t.Fatalf("%s ended: %v\n%s", s, err, log)
		case <-limit:
			w.t.Fatalf("%s has not printed %q\n%s", s, s.until, log)
		}
	}
	return w.asShown(log.String())
}
