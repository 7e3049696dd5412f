package privatepg_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose privileges are dropped")
	}
}

func TestRootIsDropped(t *testing.T) {
	needRoot(t)
	t.Parallel()
	data := folder(t)
	s := start(t, config(data))

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	require.NoError(t, err)
	require.NotRegexp(t, `(?m)^[UG]id:\s0\s`, string(status))
	info, err := os.Stat(data)
	require.NoError(t, err)
	require.NotZero(t, info.Sys().(*syscall.Stat_t).Uid)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestFolderOutOfTheServersReachIsNamed(t *testing.T) {
	needRoot(t)
	t.Parallel()
	data := folder(t)
	closed := filepath.Dir(data)
	require.NoError(t, os.Chmod(closed, 0o700))

	_, err := try(t, config(data))
	require.ErrorContains(t, err, closed+" is drwx------")
	require.ErrorContains(t, err, "choose a data folder that it can reach")
}

// spies makes a folder whose initdb and postgres write down what they were
// started with and then become the real ones.
func spies(t *testing.T, real string) (dir, log string) {
	t.Helper()
	dir = folder(t)
	require.NoError(t, os.Mkdir(dir, 0o755))
	log = filepath.Join(dir, "log")
	require.NoError(t, os.WriteFile(log, nil, 0o666))
	require.NoError(t, os.Chmod(log, 0o666))
	for _, name := range []string{"initdb", "postgres"} {
		script := fmt.Sprintf("#!/bin/sh\n{ echo \"$0 $*\"; env; ls -l \"$PWD\"; } >>%s\nexec %s/%s \"$@\"\n", log, real, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir, log
}

func TestSecretsAreNeitherInArgumentsNorInTheEnvironmentNorLeftInAFile(t *testing.T) {
	t.Setenv("ENCRYPTION_KEY", "the owner's, not PostgreSQL's")
	t.Setenv("PGPORT", "1")
	first := start(t, config(folder(t)))
	data := folder(t)
	cfg := config(data)
	var log string
	cfg.Bin, log = spies(t, first.Bin())
	start(t, cfg)

	seen, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(seen), "--pwfile")
	require.Regexp(t, `(?m)^-rw------- .* pwfile$`, string(seen))
	require.NotContains(t, string(seen), password)
	require.NotContains(t, string(seen), "ENCRYPTION_KEY")
	require.NotContains(t, string(seen), "PGPORT")
	require.NoFileExists(t, filepath.Join(data, "pwfile"))
	text, err := os.ReadFile(filepath.Join(data, "server.log"))
	require.NoError(t, err)
	require.NotContains(t, string(text), password)
}

// ownerVariable makes this test binary a process that owns a server and does
// nothing more, to be killed.
const ownerVariable = "DERMAGA_TEST_OWN_POSTGRES"

func ownAndWait(data string) {
	s, err := privatepg.Start(context.Background(), config(data))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.PID())
	<-s.Done()
}

// startOwner starts such a process and returns it with its postmaster's pid.
func startOwner(t *testing.T, data string) (*exec.Cmd, int) {
	t.Helper()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"="+data)
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	t.Cleanup(func() { _ = owner.Process.Kill(); _ = owner.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, line)
	return owner, pid
}

func TestServerEndsWhenItsOwnerIsKilled(t *testing.T) {
	t.Parallel()
	data := folder(t)
	owner, postmaster := startOwner(t, data)
	require.NoError(t, owner.Process.Kill())

	require.Eventually(t, func() bool { return syscall.Kill(postmaster, 0) == syscall.ESRCH }, patience, 10*time.Millisecond)
	text, err := os.ReadFile(filepath.Join(data, "server.log"))
	require.NoError(t, err)
	require.Contains(t, string(text), "received fast shutdown request")
}

func TestStartWaitsForTheDyingServerOfAKilledOwner(t *testing.T) {
	t.Parallel()
	data := folder(t)
	owner, _ := startOwner(t, data)
	require.NoError(t, owner.Process.Kill())
	start(t, config(data))
}

func TestLivingServerOnTheFolderIsNamed(t *testing.T) {
	t.Parallel()
	data := folder(t)
	s := start(t, config(data))
	_, err := try(t, config(data))
	require.ErrorIs(t, err, privatepg.ErrStillRunning)
	require.ErrorContains(t, err, fmt.Sprintf("kill -INT %d", s.PID()))
	require.Equal(t, "1", ask(t, connect(t, s), `SELECT '1'`), "and goes on living")
}

func TestPidFileOfADeadServerIsNoHindrance(t *testing.T) {
	t.Parallel()
	data := folder(t)
	require.NoError(t, start(t, config(data)).Stop())

	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	stranger := exec.Command("cat")
	_, err := stranger.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, stranger.Start())
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })

	for whose, pid := range map[string]string{
		"a dead process's":                     strconv.Itoa(gone.Process.Pid),
		"a living process's that is no server": strconv.Itoa(stranger.Process.Pid),
		"nobody's":                             "",
	} {
		file := filepath.Join(data, "cluster", "postmaster.pid")
		require.NoError(t, os.WriteFile(file, []byte(pid+"\n"+data+"\n1\n1\n\n\n"), 0o600), whose)
		s, err := try(t, config(data))
		require.NoError(t, err, whose)
		require.NoError(t, s.Stop())
	}
}
