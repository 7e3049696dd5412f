package broker_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/registry"
)

// moody is a server that refuses logins with what mood says; with "" it takes
// them. It counts the logins tried.
type moody struct {
	upstream
	mood  atomic.Value // string: an SQLSTATE
	tried atomic.Int64
}

func newMoody(t *testing.T, mood string) *moody {
	m := &moody{}
	m.mood.Store(mood)
	m.upstream = scripted(t, func(c *fakepg.Conn) {
		if _, ok := c.Startup(); !ok {
			return
		}
		m.tried.Add(1)
		if code := m.mood.Load().(string); code != "" {
			c.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "in a bad mood"})
			return
		}
		if c.SCRAM("upstream", fakepg.Lie{}) {
			c.Ready()
			c.Echo()
		}
	})
	return m
}

func TestServerThatStartsIsWaitedFor(t *testing.T) {
	for _, code := range []string{"57P03", "57P01", "57P02"} {
		m := newMoody(t, code)
		w := newTown()
		w.settle("one", m.upstream)
		address := serve(t, w)
		outcome := make(chan *pgproto3.ErrorResponse, 1)
		c := fakepg.Dial(t, address)
		go func() { outcome <- c.Login(0, "right", "user", "one") }()
		eventually(t, func() bool { return m.tried.Load() >= 2 }, "asked again")
		require.Empty(t, outcome)
		m.mood.Store("")
		require.Nil(t, <-outcome)
	}
}

func TestServerThatIsDownIsWaitedFor(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := ln.Addr().(*net.TCPAddr)
	require.NoError(t, ln.Close()) // the address is free, and nobody is there
	up := upstream{server: registry.Server{ID: 1, Name: "down", Host: "127.0.0.1", Port: at.Port, SSLMode: "disable"}, database: "d", role: "r", password: "upstream"}
	w := newTown()
	w.settle("one", up)
	b, address := serveBroker(t, w)
	outcome := make(chan *pgproto3.ErrorResponse, 1)
	c := fakepg.Dial(t, address)
	go func() { outcome <- c.Login(0, "right", "user", "one") }()
	eventually(t, func() bool {
		stats, err := b.Stats(t.Context())
		return err == nil && stats.DialErrors["other"] >= 2
	}, "tried again")
	require.Empty(t, outcome)
	fakepg.ServeAt(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(at.Port)), func(c *fakepg.Conn) {
		if _, ok := c.Startup(); ok && c.SCRAM("upstream", fakepg.Lie{}) {
			c.Ready()
			c.Echo()
		}
	})
	require.Nil(t, <-outcome)
}

func TestWaitForAServerEndsWithItsOwnWord(t *testing.T) {
	m := newMoody(t, "57P03")
	w := newTown()
	w.settle("one", m.upstream)
	address := serve(t, w, func(c *broker.Config) { c.QueryWaitTimeout = 300 * time.Millisecond })
	failure := fakepg.Dial(t, address).Login(0, "right", "user", "one")
	require.NotNil(t, failure)
	require.Equal(t, "57P03", failure.Code)
	require.Contains(t, failure.Detail, "in a bad mood")
}

func TestRefusalThatLastsIsNotAskedForAgain(t *testing.T) {
	m := newMoody(t, "3D000")
	w := newTown()
	w.settle("one", m.upstream)
	address := serve(t, w)
	for range 20 {
		failure := fakepg.Dial(t, address).Login(0, "right", "user", "one")
		require.Equal(t, "3D000", failure.Code)
		require.NotEmpty(t, failure.Hint)
	}
	require.EqualValues(t, 1, m.tried.Load())

	m.mood.Store("")
	w.alter("one", "one", func(*registry.Entry) {}) // the registry has changed: perhaps that helps
	eventually(t, func() bool { return fakepg.Dial(t, address).Login(0, "right", "user", "one") == nil }, "asked again")
}

func TestRefusalIsForgottenAfterServerLoginRetry(t *testing.T) {
	m := newMoody(t, "42501")
	w := newTown()
	w.settle("one", m.upstream)
	address := serve(t, w, func(c *broker.Config) { c.ServerLoginRetry = 600 * time.Millisecond })
	require.Equal(t, "42501", fakepg.Dial(t, address).Login(0, "right", "user", "one").Code)
	m.mood.Store("")
	eventually(t, func() bool { return fakepg.Dial(t, address).Login(0, "right", "user", "one") == nil }, "asked again")
	require.EqualValues(t, 2, m.tried.Load())
}

func TestPasswordThatWasChangedByHandIsRepairedOnce(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	role := registry.RoleNames(satu.ID).App
	var repairs atomic.Int64
	mend := func(_ context.Context, route *registry.Route) error {
		repairs.Add(1)
		require.Equal(t, role, route.Role)
		admin(t, c.url, `ALTER ROLE "`+role+`" PASSWORD 'upstream'`)
		return nil
	}
	address := serve(t, c.Registry, func(cfg *broker.Config) { cfg.Repair = mend })
	admin(t, c.url, `ALTER ROLE "`+role+`" PASSWORD 'mine'`)
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			conn, err := tryConnect(context.Background(), address, "satu", "app", "pw-satu", simple)
			if err == nil {
				_, err = conn.Exec(context.Background(), "SELECT pg_sleep(0.05)")
				_ = conn.Close(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	require.EqualValues(t, 1, repairs.Load())
}

func TestPasswordIsNotFoughtFor(t *testing.T) {
	m := newMoody(t, "28P01")
	w := newTown()
	w.settle("one", m.upstream)
	var repairs atomic.Int64
	address := serve(t, w, func(c *broker.Config) {
		c.ServerLoginRetry = time.Millisecond
		c.Repair = func(context.Context, *registry.Route) error { repairs.Add(1); return nil }
	})
	for range 3 {
		require.Equal(t, "08006", fakepg.Dial(t, address).Login(0, "right", "user", "one").Code)
	}
	require.EqualValues(t, 1, repairs.Load())
}

func TestRepairThatFailsIsLeftToTheOperator(t *testing.T) {
	m := newMoody(t, "28P01")
	w := newTown()
	w.settle("one", m.upstream)
	var repairs atomic.Int64
	address := serve(t, w, func(c *broker.Config) {
		c.Repair = func(context.Context, *registry.Route) error {
			repairs.Add(1)
			return errors.New("the admin role may not")
		}
	})
	for range 5 {
		failure := fakepg.Dial(t, address).Login(0, "right", "user", "one")
		require.Equal(t, "08006", failure.Code, "a client's own password is right")
		require.NotContains(t, failure.Message+failure.Detail+failure.Hint, "admin role")
	}
	require.EqualValues(t, 1, repairs.Load())
}

// A database that is dropped under its clients: they learn that it is gone, the
// others notice nothing, and a new one is found.
func TestDroppedDatabaseIsNoticed(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	c.active("dua")
	address := serve(t, c.Registry, func(c *broker.Config) { c.ServerLoginRetry = time.Second })
	conn, other := c.client(address, "satu"), c.client(address, "dua")
	exec(t, conn, "SELECT 1")
	exec(t, other, "BEGIN")
	admin(t, c.url, `DROP DATABASE "`+satu.Database+`" WITH (FORCE)`)
	var failure *pgconn.PgError
	eventually(t, func() bool {
		_, err := conn.Exec(context.Background(), "SELECT 1")
		return errors.As(err, &failure)
	}, "the client is told")
	require.Contains(t, []string{"3D000", "57P01"}, failure.Code)
	require.Equal(t, "3D000", c.failure(address, "satu"))
	exec(t, other, "COMMIT")
	admin(t, c.url, `CREATE DATABASE "`+satu.Database+`" TEMPLATE template0`)
	eventually(t, func() bool { return c.failure(address, "satu") == "" }, "it is back")
}

// failure is the SQLSTATE with which a new client's first query ends.
func (c *city) failure(address, slug string) string {
	conn, err := tryConnect(context.Background(), address, slug, "app", "pw-"+slug, simple)
	if err == nil {
		defer conn.Close(context.Background())
		_, err = conn.Exec(context.Background(), "SELECT 1")
	}
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}
