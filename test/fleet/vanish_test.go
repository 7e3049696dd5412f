package fleet_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// vanish ends the connection in the middle of something.
func (v *visitor) vanish(ctx context.Context) error {
	at := v.IntN(9)
	if v.mode == "statement" && at <= 2 { // no transactions there
		at = 0
	}
	switch at { // what must have begun
	case 1, 2:
		if err := v.run(ctx, "BEGIN", "INSERT INTO public.mixed (who, note) VALUES ('"+v.mark+"', 'never committed')"); err != nil {
			return err
		}
		if err := v.run(ctx, fmt.Sprintf("SELECT pg_catalog.pg_advisory_xact_lock(%d)", v.n)); err != nil {
			return err
		}
	case 3: // with whatever it can keep
		for range 4 {
			if err := v.keep(ctx); err != nil {
				return err
			}
		}
	}
	h, err := v.conn.Hijack()
	if err != nil {
		return err
	}
	v.conn = nil
	defer v.cut(h.Conn)
	send := func(messages ...pgproto3.FrontendMessage) error {
		for _, m := range messages {
			h.Frontend.Send(m)
		}
		return h.Frontend.Flush()
	}
	query := func(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }
	switch at {
	case 0, 2: // in a message; in one of a transaction
		text := strings.Repeat(" ", v.IntN(100_000))
		whole, encodeErr := query("SELECT 1" + text).Encode(nil)
		if encodeErr != nil {
			return encodeErr
		}
		_, err = h.Conn.Write(whole[:1+v.IntN(len(whole)-1)])
	case 4: // in a COPY to the server
		err = send(query("COPY public.mixed (who, note) FROM STDIN"))
		for n := v.IntN(50); n > 0 && err == nil; n-- {
			err = send(&pgproto3.CopyData{Data: []byte(strings.Repeat(v.mark+"\tnever committed\n", 200))})
		}
	case 5: // in one from it
		err = send(query("COPY (SELECT pg_catalog.repeat('x', 1000) FROM pg_catalog.generate_series(1, 100000)) TO STDOUT"))
		for n := v.IntN(100); n > 0 && err == nil; n-- {
			_, err = h.Frontend.Receive()
		}
	case 6: // in a query
		err = send(query(fmt.Sprintf("SELECT pg_catalog.pg_sleep(%.2f)", v.Float64())))
	case 7: // in a pipeline that it does not read
		for n := v.IntN(300); n > 0 && err == nil; n-- {
			err = send(&pgproto3.Parse{Query: "SELECT pg_catalog.repeat('x', 1000)"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
		}
	case 8: // before its batch has a Sync
		err = send(&pgproto3.Parse{Name: "half", Query: "INSERT INTO public.mixed (who) VALUES ('" + v.mark + "')"}, &pgproto3.Bind{PreparedStatement: "half"}, &pgproto3.Execute{})
	}
	if err != nil {
		return err
	}
	return errVanished
}

// cut closes a connection without a word, its TLS included; every other time it
// resets it.
func (v *visitor) cut(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok && v.IntN(2) == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
