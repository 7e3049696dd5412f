package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time, user and system, that all threads of a process have
// used, ended ones included. It is what /proc/PID/stat shows in ticks of 10 ms,
// read from the process's CPU clock in nanoseconds: at one client a tick is one
// percent of a measurement.
func cpuTime(pid int) (time.Duration, error) {
	// clock_getcpuclockid(3): the id holds the complement of the pid and the
	// kind of clock, 2 being CPUCLOCK_SCHED.
	const sched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|sched, &t); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
