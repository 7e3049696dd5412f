package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func pidFile(cluster string) string { return filepath.Join(cluster, "postmaster.pid") }

// ErrStillRunning is returned by Start when another PostgreSQL runs on the data
// folder; the text names its process id.
var ErrStillRunning = errors.New("another PostgreSQL still runs on the data folder")

// leftoverPatience is how long Start waits for a server whose owner has just
// died: the kernel has told it to shut down, and that takes a moment.
const leftoverPatience = 5 * time.Second

// clearLeftover sees to a postmaster.pid that an earlier run left: a dead
// server's is removed, a dying server is waited for, a living one is named.
func clearLeftover(ctx context.Context, cluster string) error {
	deadline := time.Now().Add(leftoverPatience)
	file := pidFile(cluster)
	for {
		pid, _, err := readPidFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !runsOn(pid, cluster):
			// PostgreSQL would see this itself, unless the number now belongs to
			// another process of the same user.
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove stale postmaster.pid: %w", err)
			}
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%w (%s): pid %d; stop its owner, or the server itself: kill -INT %d",
				ErrStillRunning, filepath.Dir(cluster), pid, pid)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL pid %d to end: %w", pid, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// Lines of postmaster.pid, counted from 0 (src/include/utils/pidfile.h).
const (
	pidLine    = 0
	statusLine = 7
)

// readPidFile returns the postmaster's process id, 0 when the file does not
// tell yet, and whether it accepts logins.
func readPidFile(file string) (pid int, ready bool, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false, fmt.Errorf("read postmaster.pid: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	first := strings.TrimSpace(lines[pidLine])
	if first == "" {
		return 0, false, nil // being written, or the machine went down meanwhile
	}
	if pid, err = strconv.Atoi(first); err != nil {
		return 0, false, fmt.Errorf("read postmaster.pid: %w", err)
	}
	return pid, len(lines) > statusLine && strings.TrimSpace(lines[statusLine]) == "ready", nil
}

// runsOn reports whether pid is a living process and, where /proc can tell,
// whether it is a postmaster on this cluster: it makes that its working folder.
func runsOn(pid int, cluster string) bool {
	if pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		_, noProc := os.Stat("/proc/self/cwd")
		return noProc != nil || !errors.Is(err, fs.ErrNotExist)
	}
	resolved, err := filepath.EvalSymlinks(cluster)
	return err == nil && cwd == resolved
}
