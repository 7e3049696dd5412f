package console

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

const (
	// maxMessage bounds what one message of a client has, in bytes: commands are
	// short.
	maxMessage = 64 << 10
	// maxPrepared bounds a visit's statements, and its portals.
	maxPrepared = 1000
	// showWait bounds the wait for what a table shows.
	showWait = 5 * time.Second
	// takeWait is how long a client may take for what it is sent.
	takeWait = 30 * time.Second
	// farewell is the same for the reason why it has to go.
	farewell = time.Second
)

// A Visit is one client's. But for Cancel and Leave, its methods and fields belong
// to the goroutine that runs Serve.
type Visit struct {
	Visitor
	console *Console
	since   time.Time
	life    context.Context // ends with the reason why it is over
	end     context.CancelCauseFunc

	out        []byte
	skipping   bool // after an error, to the next Sync
	statements map[string]order
	portals    map[string]*portal

	mu      sync.Mutex // guards what follows
	cancel  context.CancelCauseFunc
	request time.Time // of the last command
}

// errGone ends a visit without a word.
var errGone = errors.New("the client has gone")

// Serve talks to the client at conn, which has been told that it may begin, until
// it goes, is killed, or ctx ends. It closes conn.
func (v *Visit) Serve(ctx context.Context, conn net.Conn) {
	defer v.Leave()
	defer context.AfterFunc(ctx, func() { v.end(faultStopping) })()
	defer context.AfterFunc(v.life, func() { _ = conn.SetWriteDeadline(time.Now().Add(farewell)) })()
	messages := make(chan message)
	var reading sync.WaitGroup
	reading.Go(func() { v.read(conn, messages) })
	defer reading.Wait()
	defer conn.Close()
	defer v.end(errGone) // the reader may be about to hand over
	for {
		select {
		case m := <-messages:
			if !v.handle(m) {
				return
			}
			if v.life.Err() == nil && (m.prompt() || len(v.out) > maxMessage) && v.flush(conn) != nil {
				return
			}
		case <-v.life.Done():
			v.bye(conn)
			return
		}
	}
}

// Leave gives the visit's place back. Safe to call more than once.
func (v *Visit) Leave() {
	v.end(errGone)
	v.console.leave(v)
}

// Cancel ends the command that is running, if one is.
func (v *Visit) Cancel(context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cancel != nil {
		v.cancel(faultCancelled)
	}
}

// A message of the client.
type message struct {
	kind byte
	body []byte
}

// read hands messages over one by one. Its end is the visit's.
func (v *Visit) read(conn io.Reader, messages chan<- message) {
	r := bufio.NewReader(conn)
	for {
		m, err := readMessage(r)
		if err != nil {
			v.end(errors.Join(errGone, err))
			return
		}
		select {
		case messages <- m:
		case <-v.life.Done():
			return
		}
	}
}

func readMessage(r io.Reader) (message, error) {
	var header [wire.HeaderLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return message{}, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length < 4 || length-4 > maxMessage {
		return message{}, faultProtocol("invalid message length")
	}
	m := message{header[0], make([]byte, length-4)}
	_, err := io.ReadFull(r, m.body)
	return m, err
}

// bye says why the visit is over, instead of what would have been said, if that is
// not because the client went.
func (v *Visit) bye(conn net.Conn) {
	if f := asFault(context.Cause(v.life)); f != nil {
		_, _ = conn.Write(wire.AppendError(nil, f.fields("FATAL")))
	}
}

// flush sends what has been said.
func (v *Visit) flush(conn net.Conn) error {
	if len(v.out) == 0 {
		return nil
	}
	if v.life.Err() == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(takeWait))
	}
	_, err := conn.Write(v.out)
	v.out = v.out[:0]
	return err
}

// run carries an order out, within the rights that the client has now.
func (v *Visit) run(o order) ([]row, error) {
	ctx, cancel := context.WithCancelCause(v.life)
	defer cancel(nil)
	v.begin(cancel)
	defer v.begin(nil)
	v.console.queries.Add(1)
	role := v.Role(ctx)
	switch {
	case role == Nobody:
		v.end(faultBarred)
		return nil, faultBarred
	case o.admin && role != Admin:
		return nil, faultAdmin
	}
	var rows []row
	var err error
	switch {
	case o.table != nil:
		ctx, done := context.WithTimeout(ctx, showWait)
		rows, err = o.table.rows(ctx, v.console, v)
		done()
	case o.do != nil:
		err = o.do(ctx, v.console)
	}
	if err != nil && errors.Is(context.Cause(ctx), faultCancelled) {
		err = faultCancelled
	}
	if o.admin || err != nil {
		v.console.report(v.Visitor, o.text, err)
	}
	return rows, err
}

// begin notes how the command that runs now is cancelled; nil: none runs.
func (v *Visit) begin(cancel context.CancelCauseFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cancel = cancel
	if cancel != nil {
		v.request = v.console.now()
	}
}

// client is v as SHOW CLIENTS shows it.
func (v *Visit) client() Client {
	v.mu.Lock()
	defer v.mu.Unlock()
	state := "idle"
	if v.cancel != nil {
		state = "active"
	}
	return Client{
		ID: v.ID, User: v.User, Database: v.Database, State: state, Remote: v.Remote, Local: v.Local,
		Since: v.since, Request: v.request, TLS: v.TLS, Application: v.Application,
	}
}
