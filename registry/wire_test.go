package registry_test

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A wire stands between a registry client and PostgreSQL and breaks as networks
// do: cut (connections end, new ones are refused) or stalled (open, but nothing
// arrives any more).
type wire struct {
	ln     net.Listener
	target string
	wg     sync.WaitGroup

	mu      sync.Mutex
	cut     bool
	flowing chan struct{} // closed while bytes may pass
	conns   map[net.Conn]bool
	hung    int // connections up to this one
	count   int
	never   chan struct{} // closed at the end
}

// through returns the URL changed to lead through a new wire.
func through(t testing.TB, dsn string) (string, *wire) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{ln: ln, target: u.Host, flowing: make(chan struct{}), never: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(w.flowing)
	u.Host = ln.Addr().String()
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		w.mend()
		close(w.never)
		w.breakUp()
		w.wg.Wait()
	})
	return u.String(), w
}

func (w *wire) accept() {
	for {
		client, err := w.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		w.mu.Lock()
		if w.cut || err != nil {
			w.mu.Unlock()
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			continue
		}
		w.conns[client], w.conns[server] = true, true
		w.count++
		number := w.count
		w.mu.Unlock()
		w.wg.Go(func() { w.pump(client, server, number) })
		w.wg.Go(func() { w.pump(server, client, number) })
	}
}

func (w *wire) pump(to, from net.Conn, number int) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err == nil {
			w.mu.Lock()
			flowing := w.flowing
			if number <= w.hung {
				flowing = w.never
			}
			w.mu.Unlock()
			<-flowing
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

// breakUp ends every connection.
func (w *wire) breakUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
		delete(w.conns, c)
	}
}

// sever cuts the wire.
func (w *wire) sever() {
	w.mu.Lock()
	w.cut = true
	w.mu.Unlock()
	w.breakUp()
}

// stall lets nothing pass any more, without a word.
func (w *wire) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flowing = make(chan struct{})
}

// hang lets nothing pass any more on the connections there are; new ones work.
func (w *wire) hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hung = w.count
}

// mend ends a cut and a stall; what was stalled arrives now.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	select {
	case <-w.flowing:
	default:
		close(w.flowing)
	}
}
