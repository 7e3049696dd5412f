package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"github.com/nusajournal/dermaga/admin/client"
)

// comingAtOnce bounds the clients that log in at the same moment: the race detector
// takes 8,128 goroutines at most.
const comingAtOnce = 4000

func TestOfAThousandClientsAtOnceOnlyTheExcessIsRefused(t *testing.T) {
	ctx := bounded(t)
	clients, limit := size(1000, 10_000), size(800, 8_000)
	r := serve(t, "--max-client-conn", fmt.Sprint(limit))
	tn := r.settle(ctx, t, client.NewTenant{Slug: "pt-kuat", Plan: "ENTERPRISE", MaxClients: 2 * clients, PoolSize: 20})

	keys := &keys{}
	var all sync.WaitGroup
	var mu sync.Mutex
	var let []*slim
	refused := map[string]int{}
	room := make(chan struct{}, comingAtOnce)
	began := time.Now()
	for range clients {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			conn, err := enter(ctx, r, tn, keys)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				let = append(let, conn)
				return
			}
			refused[reason(err)]++
			var told *pgconn.PgError
			if errors.As(err, &told) && told.Code == pgerrcode.TooManyConnections &&
				(told.Detail != fmt.Sprintf("max_client_conn is %d.", limit) || told.Hint == "") {
				t.Errorf("it does not name the setting: %+v", told)
			}
		})
	}
	all.Wait()
	defer func() {
		for _, conn := range let {
			_ = conn.Close()
		}
	}()
	t.Logf("%d let in and %v refused, in %s", len(let), refused, time.Since(began))
	require.Equal(t, map[string]int{pgerrcode.TooManyConnections: clients - limit}, refused)
	require.Len(t, let, limit)

	// Those that were let in live, all at once.
	answers := make(chan error, len(let))
	for _, conn := range let {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			answers <- conn.query("SELECT 1")
		})
	}
	all.Wait()
	close(answers)
	for err := range answers {
		require.NoError(t, err)
	}

	// One that goes makes room for one.
	require.NoError(t, let[0].Close())
	await(ctx, t, "room for one more", func() bool {
		conn, err := enter(ctx, r, tn, keys)
		if err == nil {
			let = append(let, conn)
		}
		return err == nil
	})
}

// A slim is a client of little memory.
type slim struct {
	net.Conn
	*pgproto3.Frontend
}

// keys remember what a password comes to: pgx would compute it at each login, which
// takes longer than all that the broker does for it.
type keys struct {
	once   sync.Once
	client *scram.Client
	err    error
}

func (k *keys) of(tn tenant) (*scram.Client, error) {
	k.once.Do(func() {
		password, _ := tn.user.Password()
		k.client, k.err = scram.SHA256.NewClient("", password, "") // PostgreSQL takes the name from the startup packet
	})
	return k.client, k.err
}

// enter logs in.
func enter(ctx context.Context, r *replica, tn tenant, k *keys) (*slim, error) {
	prover, err := k.of(tn)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.broker)
	if err != nil {
		return nil, err
	}
	s := &slim{Conn: conn, Frontend: pgproto3.NewFrontend(conn, conn)}
	s.Send(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters:      map[string]string{"user": tn.user.Username(), "database": tn.Slug},
	})
	talk := prover.NewConversation()
	err = s.until(func(m pgproto3.BackendMessage) error {
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			first, err := talk.Step("")
			s.Send(&pgproto3.SASLInitialResponse{AuthMechanism: m.AuthMechanisms[0], Data: []byte(first)})
			return err
		case *pgproto3.AuthenticationSASLContinue:
			final, err := talk.Step(string(m.Data))
			s.Send(&pgproto3.SASLResponse{Data: []byte(final)})
			return err
		}
		return nil
	})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *slim) query(sql string) error {
	s.Send(&pgproto3.Query{String: sql})
	return s.until(func(pgproto3.BackendMessage) error { return nil })
}

// until sends what is to be sent, and heeds messages up to a ReadyForQuery or an
// error.
func (s *slim) until(heed func(pgproto3.BackendMessage) error) error {
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for {
		if err := s.Flush(); err != nil {
			return err
		}
		m, err := s.Receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return nil
		}
		if err := heed(m); err != nil {
			return err
		}
	}
}
