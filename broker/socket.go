package broker

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// keepAlive notices a peer that is gone without a word within two minutes, on
// either side of the broker, while nothing is sent.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// tend makes the kernel notice that a connection's other end is gone: by
// keepAlive, and where something was sent by its not being taken for limit
// (TCP_USER_TIMEOUT, as described in tcp(7); the kernel's own rule gives a dead
// server a quarter of an hour). TCP_NODELAY is Go's default.
func tend(conn net.Conn, limit time.Duration) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return // a Unix-domain socket cannot lose its peer
	}
	// A connection on which this fails is not worse than one that never had it.
	_ = tcp.SetKeepAliveConfig(keepAlive)
	raw, err := tcp.SyscallConn()
	if err != nil || limit <= 0 {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit/time.Millisecond))
	})
}

// files is how many descriptors the process may have open: Go has raised the
// soft limit to the hard one. 0: unknown.
func files() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}
