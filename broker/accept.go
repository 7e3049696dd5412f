package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// acceptPause is how long accepting rests after an error: mostly there are no
// descriptors left, and others have to be closed first.
const acceptPause = 100 * time.Millisecond

// farewell bounds the time in which a client that is refused must take the
// reason.
const farewell = time.Second

// Serve accepts clients from ln until Shutdown, and then returns nil, or until
// ctx ends, and then returns its cause. It closes ln. Several listeners may be
// served at once.
func (b *Broker) Serve(ctx context.Context, ln net.Listener) error {
	if !b.enter(&b.running) {
		_ = ln.Close()
		return ErrStopped
	}
	defer b.running.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errShuttingDown)
	defer context.AfterFunc(b.stopping, func() { cancel(errShuttingDown) })()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for ctx.Err() == nil {
		// The ceiling: when it is reached nothing is accepted, and the kernel's
		// queue fills up instead of our memory.
		select {
		case b.places <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		conn, err := ln.Accept()
		if err != nil {
			<-b.places
			if errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
				return err
			}
			b.rest(ctx, err)
			continue
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			<-b.places
			_ = conn.Close()
			return fmt.Errorf("serve %s: only TCP is supported", ln.Addr().Network())
		}
		b.running.Add(1)
		go func() {
			defer b.running.Done()
			b.receive(ctx, tcp)
		}()
	}
	if cause := context.Cause(ctx); !errors.Is(cause, errShuttingDown) {
		return cause
	}
	return nil
}

// rest waits a little after an error of accept.
func (b *Broker) rest(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	b.log.Error(eventAccept, keyError, err)
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// receive is the life of one connection until the relay has it, or it is closed.
// Until it is known who it is, it holds a place among the half-open ones.
func (b *Broker) receive(ctx context.Context, conn *net.TCPConn) {
	number := b.counters.accepted.Add(1)
	crowded := b.counters.connections.Add(1) > int64(b.cfg.MaxClients)
	b.counters.halfOpen.Add(1)
	known := sync.OnceFunc(func() {
		b.counters.halfOpen.Add(-1)
		<-b.places
	})
	defer known()
	tend(conn, b.cfg.TCPUserTimeout)
	_ = conn.SetDeadline(time.Now().Add(b.cfg.ClientLoginTimeout))
	l := &line{
		Conn: conn, socket: conn, number: uint64(number), id: fmt.Sprintf("%s-%d", b.prefix, number), crowded: crowded, began: time.Now(),
		ended: sync.OnceFunc(func() { b.counters.connections.Add(-1) }),
	}
	l.uninterrupted = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	h, err := b.ceremony(ctx, l, known)
	if err != nil {
		l.uninterrupted()
		b.refuse(ctx, l, h, err)
		l.ended()
	}
}

// ceremony is the trip itself: greet, authenticate, resolve, welcome. The hello
// is returned for the log.
func (b *Broker) ceremony(ctx context.Context, l *line, known func()) (h hello, err error) {
	// A panic ends one connection, never the process.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			b.log.Error(eventPanic, keyConn, l.id, keyRemote, l.remote(), keyError, err)
		}
	}()
	if h, err = b.greet(l); err != nil {
		return h, err
	}
	if l.crowded { // known only now, since a cancel request is always welcome
		return h, errClients(b.cfg.MaxClients)
	}
	id, err := b.authenticate(ctx, h)
	if err != nil {
		return h, err
	}
	// From here on a connection counts against the limits of its tenant and
	// login, and may wait longer than strangers may.
	known()
	if h.forConsole() {
		return h, b.consult(ctx, id)
	}
	p, err := b.resolve(ctx, id)
	if err != nil {
		return h, err
	}
	return h, b.welcome(ctx, p)
}

// refuse ends a connection that the relay will not get, and says why where that
// is anybody's business.
func (b *Broker) refuse(ctx context.Context, l *line, h hello, err error) {
	var over handedOver
	if errors.As(err, &over) {
		b.log.Error(eventHandOver, keyConn, l.id, keyRemote, l.remote(), keyUser, h.user, keyDatabase, h.database, keyError, err)
		return
	}
	defer l.Close()
	if errors.Is(err, errNoHello) {
		return
	}
	told := asClientError(err)
	switch {
	case told != nil:
	case ctx.Err() != nil:
		told = errShuttingDown
	default:
		told = lastWords(err, b.cfg.ClientLoginTimeout)
	}
	if told == nil {
		// A peer that only looked whether somebody listens is no news.
		if !errors.Is(err, io.EOF) {
			b.log.Info(eventDropped, keyConn, l.id, keyRemote, l.remote(), keyUser, h.user, keyDatabase, h.database, keyError, err)
		}
		b.counters.dropped.Add(1)
		return
	}
	b.counters.refused.count(told.code)
	b.log.Info(eventRefused, keyConn, l.id, keyRemote, l.remote(), keyUser, h.user, keyDatabase, h.database, keySQLState, told.code, keyError, err)
	_ = l.SetDeadline(time.Now().Add(farewell))
	l.say(told.at(l.id).response())
	_ = l.flush()
	l.discard()
}

// discard takes what the client has sent already. A close with unread bytes resets
// the connection, and the reset can overtake the reason.
func (l *line) discard() {
	var b [1024]byte
	for range maxDiscarded / len(b) {
		if _, err := peek(l.socket, false); err != nil {
			return
		}
		if _, err := l.socket.Read(b[:]); err != nil {
			return
		}
	}
}

// maxDiscarded is more than a startup packet, in bytes.
const maxDiscarded = 16 << 10
