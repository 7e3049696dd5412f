package model_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/nusajournal/dermaga/broker/wire"
)

// line is one connection, a client's or a twin's. A goroutine of its own reads it
// to its end; writing is the player's.
type line struct {
	net.Conn
	stirred chan<- struct{} // told when something has come
	done    chan struct{}   // closed when the reader has ended

	mu    sync.Mutex
	heard []answer
	err   error // why the reader has ended
}

// listen starts to read conn. stirred has room for one.
func listen(conn net.Conn, stirred chan<- struct{}) *line {
	l := &line{Conn: conn, stirred: stirred, done: make(chan struct{})}
	go l.read()
	return l
}

func (l *line) read() {
	defer close(l.done)
	r := bufio.NewReaderSize(l.Conn, 16<<10)
	for {
		a, err := next(r)
		l.mu.Lock()
		if err == nil {
			l.heard = append(l.heard, a)
		}
		l.err = err
		l.mu.Unlock()
		if err != nil || r.Buffered() == 0 {
			select {
			case l.stirred <- struct{}{}:
			default: // it has not looked since the last time
			}
		}
		if err != nil {
			return
		}
	}
}

func next(r io.Reader) (answer, error) {
	header := make([]byte, wire.HeaderLen, 64)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(header[1:])) - 4
	if n < 0 {
		return nil, errors.New("a message of negative length")
	}
	a := append(header, make([]byte, n)...)
	_, err := io.ReadFull(r, a[wire.HeaderLen:])
	return a, err
}

// take returns the oldest answer that nobody has taken; nil and no error: none has
// come yet.
func (l *line) take() (answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heard) == 0 {
		return nil, l.err
	}
	a := l.heard[0]
	l.heard = l.heard[1:]
	return a, nil
}

// hangUp closes the connection and waits for the reader.
func (l *line) hangUp() {
	_ = l.Close()
	<-l.done
}
