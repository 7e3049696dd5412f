package dermagatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// A Process is a dermaga that runs until it is told to end. Safe for concurrent
// use.
type Process struct {
	Log *Log // what it writes to standard error

	cmd  *exec.Cmd
	gone chan struct{}
	exit error // read only after gone
}

// Start starts binary with args, and with env in place of this process's own
// variables of the same names. The kernel kills it when this process dies.
func Start(binary string, env []string, args ...string) (*Process, error) {
	p := &Process{Log: &Log{}, cmd: exec.Command(binary, args...), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.Log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// prctl(2): the signal comes when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.exit = p.cmd.Wait()
			p.Log.end()
			close(p.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends sig. That the process has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Gone is closed when the process has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Wait returns when the process has ended: nil if it ended well, or why it did
// not. If ctx ends before, the process is killed.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.gone:
		return p.exit
	case <-ctx.Done():
		err := fmt.Errorf("process %d does not end: %w", p.PID(), context.Cause(ctx))
		return errors.Join(err, p.Kill())
	}
}

// Kill ends the process with SIGKILL and returns when it is gone. Safe to call
// again, and after its end.
func (p *Process) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	if err == nil {
		<-p.gone
	}
	return err
}
