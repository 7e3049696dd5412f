package privatepg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long each way of ending the server may take before the next, harder one.
const (
	fastLimit      = 20 * time.Second // a checkpoint of shared_buffers
	immediateLimit = 5 * time.Second
)

// errPortTaken says that another process listens on the port.
var errPortTaken = errors.New("the port is in use")

// child is the postmaster. One goroutine waits for it and closes gone.
type child struct {
	cmd     *exec.Cmd
	logFile string
	gone    chan struct{}
	exit    error // why it ended; read only after gone

	stopOnce sync.Once
	stopErr  error
}

// spawn starts postgres with its output in the data folder's log; the log of
// the run before is kept beside it.
func spawn(postgres string, args []string, owner account, data string) (*child, error) {
	logFile := filepath.Join(data, logName)
	_ = os.Rename(logFile, filepath.Join(data, oldLogName)) // missing at the first start
	out, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer out.Close()
	if err := owner.own(logFile); err != nil {
		return nil, fmt.Errorf("give the server's log to its user: %w", err)
	}

	cmd := exec.Command(postgres, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr, cmd.Env, cmd.Dir = owner.attributes(), childEnv(), data
	c := &child{cmd: cmd, logFile: logFile, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Never unlocked while the child lives: when this thread ends, the kernel
		// takes the child for an orphan and signals it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.exit = cmd.Wait()
			close(c.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return c, nil
}

// onLockedThread runs a child to its end without letting the thread that forked
// it go, as spawn does.
func onLockedThread(run func() ([]byte, error)) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return run()
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// obituary says why the server ended, in its own last words.
func (c *child) obituary() error {
	words := strings.TrimSpace(tail(c.logFile))
	if strings.Contains(words, "Address already in use") {
		return fmt.Errorf("%w: PostgreSQL ended at start; its log (%s) ends with:\n%s", errPortTaken, c.logFile, words)
	}
	return fmt.Errorf("PostgreSQL ended at start (%w); its log (%s) ends with:\n%s", c.exit, c.logFile, words)
}

// stop ends the server: fast, then immediate, then by force. An end that
// somebody else brought about before is no error.
func (c *child) stop() error {
	c.stopOnce.Do(func() {
		if c.endsBy(syscall.SIGINT, fastLimit) {
			return
		}
		if c.endsBy(syscall.SIGQUIT, immediateLimit) {
			c.stopErr = fmt.Errorf("PostgreSQL (pid %d) did not shut down within %s and was stopped without a checkpoint: "+
				"it will recover at the next start", c.pid(), fastLimit)
			return
		}
		_ = c.cmd.Process.Kill()
		<-c.gone
		c.stopErr = fmt.Errorf("PostgreSQL (pid %d) had to be killed", c.pid())
	})
	return c.stopErr
}

// endsBy sends sig and reports whether the server is gone within limit.
func (c *child) endsBy(sig syscall.Signal, limit time.Duration) bool {
	select {
	case <-c.gone:
		return true
	default:
	}
	_ = c.cmd.Process.Signal(sig) // fails only when it has just ended: gone tells
	select {
	case <-c.gone:
		return true
	case <-time.After(limit):
		return false
	}
}

// passedOn are the variables a child gets. The rest stays here: the owner's
// environment holds ENCRYPTION_KEY and database URLs, and PG* would redirect
// the child.
var passedOn = []string{"PATH", "HOME", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}

func childEnv() []string {
	env := []string{"LC_ALL=C"} // messages that we can read
	for _, name := range passedOn {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
