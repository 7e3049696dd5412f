package model_test

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// between stands between two ends of a connection and has messages that pass by
// changed: by up those to the far end, by down those from there. Nil leaves them as
// they are; a message that becomes nil is dropped.
type between struct {
	up, down func(answer) answer
}

// join returns what the near end gets instead of far. Two goroutines carry the
// messages until both directions have ended, at the latest with t.
func (b between) join(t testing.TB, far net.Conn) net.Conn {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	inner, err := ln.Accept()
	require.NoError(t, err)

	var both sync.WaitGroup
	both.Go(func() { carry(far, inner, b.up) })
	both.Go(func() { carry(inner, far, b.down) })
	end := func() {
		_ = inner.Close()
		_ = far.Close()
	}
	go func() {
		both.Wait()
		end()
	}()
	t.Cleanup(func() {
		end()
		both.Wait()
	})
	return near
}

// carry carries messages until from ends, and ends to in that direction.
func carry(to, from net.Conn, change func(answer) answer) {
	r, w := bufio.NewReaderSize(from, 16<<10), bufio.NewWriterSize(to, 16<<10)
	for {
		m, err := next(r)
		if err != nil {
			break
		}
		if change != nil {
			m = change(m)
		}
		if _, err := w.Write(m); err != nil {
			break
		}
		if r.Buffered() > 0 {
			continue
		}
		if err := w.Flush(); err != nil {
			break
		}
	}
	_ = w.Flush()
	_ = to.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, from)
}
