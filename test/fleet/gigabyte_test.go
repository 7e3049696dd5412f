package fleet_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

const (
	// PostgreSQL takes and makes messages of up to 1 GiB (MaxAllocSize), and so does
	// the broker.
	almostAGibibyte = 1<<30 - 1<<16
	// The text of a simple query is read into a buffer that doubles.
	longestText = 500 << 20
	// heap is what a replica's memory may grow by meanwhile: it holds pieces of what
	// passes through, and its garbage.
	heap = 24 << 20
)

// Values as large as PostgreSQL has them pass through the replica in pieces.
func TestValuesOfAGigabytePassInPieces(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), size(3*time.Minute, 10*time.Minute))
	defer cancel()
	r := serve(t, certified(t)...)
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-besar", Plan: "ENTERPRISE"})
	value, text := size(64<<20, almostAGibibyte), size(32<<20, longestText)
	for _, way := range []struct{ name, url string }{{"plain", tn.at(r)}, {"TLS", encrypted(tn.at(r))}} {
		for _, c := range []struct {
			name     string
			up, down int
			speak    func(*giant) error
		}{
			{"a parameter", value, 0, func(g *giant) error { return g.bind("SELECT length($1::bytea)", value, false) }},
			{"a result, extended", 0, value, func(g *giant) error {
				return g.bind(fmt.Sprintf("SELECT repeat('x', %d)", value), -1, true)
			}},
			{"a result, simple", 0, value, func(g *giant) error {
				return g.query(fmt.Sprintf("SELECT repeat('x', %d)", value), 0, "")
			}},
			{"the text of a simple query", text, 0, func(g *giant) error { return g.query("SELECT length('", text, "')") }},
			{"both ways", value / 2, value / 2, func(g *giant) error { return g.bind("SELECT $1::bytea", value/2, true) }},
		} {
			t.Run(way.name+"/"+c.name, func(t *testing.T) {
				g := greet(ctx, t, way.url)
				require.NoError(t, g.small(), "before")
				w := r.watchMemory(t)
				began := time.Now()
				require.NoError(t, c.speak(g))
				longest, err := g.answer()
				require.NoError(t, err)
				grown := w.end()
				t.Logf("%d MiB to PostgreSQL and %d MiB from it in %s; memory grew by %.1f MiB", c.up>>20, c.down>>20, time.Since(began), mebibytes(grown))
				require.GreaterOrEqual(t, longest, c.down)
				if !*long { // the race detector remembers
					require.Less(t, grown, int64(4*heap))
				} else {
					require.Less(t, grown, int64(heap))
				}
				require.NoError(t, g.small(), "after")
			})
		}
	}
}

// A giant is a client that neither holds what it sends nor what it gets.
type giant struct {
	conn net.Conn
	in   *bufio.Reader
}

func greet(ctx context.Context, t *testing.T, url string) *giant {
	t.Helper()
	conn, err := dial(ctx, url)
	require.NoError(t, err)
	h, err := conn.Hijack()
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Conn.Close() })
	require.NoError(t, h.Conn.SetDeadline(time.Now().Add(3*time.Minute)))
	return &giant{conn: h.Conn, in: bufio.NewReaderSize(h.Conn, 1<<16)}
}

// small is an ordinary query.
func (g *giant) small() error {
	if err := g.query("SELECT 1", 0, ""); err != nil {
		return err
	}
	_, err := g.answer()
	return err
}

// bind runs sql with a parameter of n bytes, or with none if n is -1.
func (g *giant) bind(sql string, n int, binary bool) error {
	var b []byte
	b, err := (&pgproto3.Parse{Query: sql}).Encode(b)
	if err != nil {
		return err
	}
	format := byte(0)
	if binary {
		format = 1
	}
	bind := []byte{0, 0, 0, 1, 0, 1, 0, 0} // no names; all parameters are binary; there is none
	if n >= 0 {
		bind = append(bind[:7], 1)
		bind = appendInt(bind, n)
	}
	tail := []byte{0, 1, 0, format}
	b = appendInt(append(b, 'B'), 4+len(bind)+max(n, 0)+len(tail))
	if err := g.send(append(b, bind...), max(n, 0), tail); err != nil {
		return err
	}
	b, err = (&pgproto3.Execute{}).Encode(nil)
	if err != nil {
		return err
	}
	b, err = (&pgproto3.Sync{}).Encode(b)
	if err != nil {
		return err
	}
	_, err = g.conn.Write(b)
	return err
}

// query sends a simple query whose text is before, n times x, and after.
func (g *giant) query(before string, n int, after string) error {
	b := appendInt([]byte{'Q'}, 4+len(before)+n+len(after)+1)
	return g.send(append(b, before...), n, append([]byte(after), 0))
}

func appendInt(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

// send sends n times x between two pieces.
func (g *giant) send(before []byte, n int, after []byte) error {
	if _, err := g.conn.Write(before); err != nil {
		return err
	}
	if _, err := io.CopyN(g.conn, xs{}, int64(n)); err != nil {
		return err
	}
	_, err := g.conn.Write(after)
	return err
}

// xs is a source of the letter x.
type xs struct{}

func (xs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// answer reads up to a ReadyForQuery and returns how long the longest message was.
func (g *giant) answer() (longest int, err error) {
	var failure error
	for {
		var head [5]byte
		if _, err := io.ReadFull(g.in, head[:]); err != nil {
			return longest, err
		}
		n := int(binary.BigEndian.Uint32(head[1:])) - 4
		longest = max(longest, n)
		if head[0] != 'E' {
			if _, err := io.CopyN(io.Discard, g.in, int64(n)); err != nil {
				return longest, err
			}
			if head[0] == 'Z' {
				return longest, failure
			}
			continue
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(g.in, body); err != nil {
			return longest, err
		}
		var m pgproto3.ErrorResponse
		if err := m.Decode(body); err != nil {
			return longest, err
		}
		failure = pgconn.ErrorResponseToPgError(&m)
	}
}
