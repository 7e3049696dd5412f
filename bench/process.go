package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// errNotFound says that a program is not on this machine: its target is left
// out, and the run goes on.
var errNotFound = errors.New("not found")

// stopLimit is how long a child may take to end when asked.
const stopLimit = 30 * time.Second

// process is a child that lives as long as the run.
type process struct {
	cmd  *exec.Cmd
	log  string
	gone chan struct{}
	exit error // read only after gone
}

// start runs cmd with its output in a log file; it is ended when the workplace
// closes, or with this process, however that ends.
func (w *workplace) start(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, log: filepath.Join(w.dir, name+".log"), gone: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // Ctrl-C is for us
	cmd.SysProcAttr.Pdeathsig = syscall.SIGINT

	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the parent of a child, to Pdeathsig, is the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.exit = cmd.Wait()
			close(p.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	w.atClose(p.stop)
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) stop() error {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, os.Kill} {
		_ = p.cmd.Process.Signal(sig) // fails when it has ended: gone tells
		select {
		case <-p.gone:
			return nil
		case <-time.After(stopLimit):
		}
	}
	return fmt.Errorf("process %d does not end", p.pid())
}

// until waits for ready with the process watched.
func (p *process) until(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.gone:
			return fmt.Errorf("ended at start: %w: %s", p.exit, lastLines(p.log))
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w: %s", context.Cause(ctx), lastLines(p.log))
		case <-tick.C:
		}
	}
	return nil
}

func listens(host, port string) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// lastLines is the end of a log, for errors.
func lastLines(file string) string {
	const keep = 2048 // bytes
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(-keep, io.SeekEnd); err != nil { // shorter than that
		_, _ = f.Seek(0, io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(f, keep)) // what could be read is what there is to say
	return strings.TrimSpace(string(text))
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}
