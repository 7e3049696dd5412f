package release_test

import (
	"context"
	"crypto/rand"
	"debug/elf"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/internal/pgtest"
)

// limit bounds each step: a start takes half a second.
const limit = 20 * time.Second

func TestBinaryIsStatic(t *testing.T) {
	file, err := elf.Open(binary)
	require.NoError(t, err)
	defer file.Close()
	needed, err := file.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, needed)
	for _, p := range file.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "a dynamic linker")
	}
	require.Nil(t, file.Section(".debug_info"), "stripped")
}

func TestBinaryKnowsItsCommit(t *testing.T) {
	head, err := exec.Command("git", "-C", root, "log", "-1", "--format=%H %ct").Output()
	if err != nil {
		t.Skip("not in a repository:", err)
	}
	out, err := exec.Command(binary, "version", "--json").Output()
	require.NoError(t, err)
	var v struct{ Version, Commit, Date string }
	require.NoError(t, json.Unmarshal(out, &v))
	commit, _, _ := strings.Cut(string(head), " ")
	require.Equal(t, commit, v.Commit)
	_, err = time.Parse(time.RFC3339, v.Date)
	require.NoError(t, err)
	require.Regexp(t, `^v\d+\.\d+\.\d+`, v.Version)

	out, err = exec.Command(binary, "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), v.Version+" ("+commit[:12]+", "+v.Date+")")
}

// As in an image from scratch: no file but itself, nobody's user, nothing that it
// may write.
func TestItRunsWithNothingAround(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	server, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	admin := dermagatest.FreeAddress(t)
	notify, told := listenAsSystemd(t)
	env := []string{
		"REGISTRY_DATABASE_URL=" + pgtest.Database(t), "DATABASE_URL=" + server.String(),
		"ENCRYPTION_KEY=" + rand.Text() + rand.Text()[:6], "DERMAGA_DATABASE_PREFIX=released_",
		"DERMAGA_ADMIN_LISTEN=" + admin, "DERMAGA_ADMIN_URL=http://" + admin, "DERMAGA_LISTEN=127.0.0.1:0",
		"NOTIFY_SOCKET=" + notify,
	}
	out, err := alone(t, env, "registry", "migrate").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = alone(t, env, "ready").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "does not answer")

	serve := alone(t, env, "serve")
	log := &dermagatest.Log{}
	serve.Stderr = log
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log)
		}
	})
	require.NoError(t, serve.Start())
	require.Equal(t, "READY=1", told(), "systemd is told")
	out, err = alone(t, env, "ready").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "ready\n", string(out))
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "STOPPING=1", told())
	require.NoError(t, serve.Wait(), log.String())
	require.NotContains(t, log.String(), "level=ERROR")
}

// alone is the binary in a root of its own.
func alone(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Link(binary, filepath.Join(dir, "dermaga")))
	require.NoError(t, os.Chmod(dir, 0o555))
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/dermaga", args...)
	const nobody = 65532 // as the image's
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: dir, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL,
	}
	cmd.Dir, cmd.Env = "/", env
	return cmd
}

// listenAsSystemd makes a socket of sd_notify(3), in no file system, and returns its
// name and what waits for the next message.
func listenAsSystemd(t *testing.T) (name string, told func() string) {
	name = "@dermaga-release-" + t.Name()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return name, func() string {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(limit)))
		b := make([]byte, 128)
		n, err := conn.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
}
