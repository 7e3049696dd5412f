package console_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/broker/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test: far longer than anything takes.
const patience = 20 * time.Second

// noon is the time in these tests.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// A harbour is a pooler of a test's own, with two tenants. It notes what it is
// told to do. Safe for concurrent use.
type harbour struct {
	pausing chan struct{} // Pause waits until it is closed; nil: it does not

	mu      sync.Mutex
	orders  []string
	paused  bool
	failing error // of everything that is shown
}

func (h *harbour) order(format string, args ...any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orders = append(h.orders, fmt.Sprintf(format, args...))
	return nil
}

// told are the orders until now.
func (h *harbour) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.orders...)
}

func (h *harbour) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing = err
}

func (h *harbour) fault() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing
}

var (
	busy = console.Pool{
		Database: "pt-satu", User: "t_1_app_1", ClientsActive: 7, ClientsWaiting: 2, ServersActive: 3, ServersIdle: 1,
		ServersTested: 1, ServersLogin: 1, ServersCancelled: 1, MaxWait: 1500 * time.Millisecond, Mode: "auto",
		Traffic: console.Traffic{
			Assignments: 9, Transactions: 100_000_000, Queries: 250, Received: 1 << 40, Sent: 20_000, TransactionTime: 3 * time.Second,
			QueryTime: 2 * time.Second, WaitTime: time.Second, ClientParses: 5, ServerParses: 4, Binds: 3, Logins: 11,
		},
	}
	calm = console.Pool{Database: "pt-satu", User: "t_1_ro_1", Mode: "transaction", Traffic: console.Traffic{Transactions: 1, TransactionTime: time.Second}}
	rare = console.Pool{Database: "pt-dua", User: "t_2_app_1", Mode: "session"}
)

func (h *harbour) Pools(context.Context) ([]console.Pool, error) {
	return []console.Pool{rare, busy, calm}, h.fault()
}

func (h *harbour) Clients(context.Context) ([]console.Client, error) {
	return []console.Client{
		{
			ID: 41, User: "app", Database: "pt-satu", State: "active", Remote: "10.0.0.7:50312", Local: "10.0.0.1:6432",
			Since: noon.Add(-time.Hour), Request: noon.Add(-time.Second), Server: 5, TLS: "TLSv1.3/TLS_AES_128_GCM_SHA256",
			Application: "psql", Statements: 3,
		},
		{
			ID: 42, User: "app", Database: "pt-satu", State: "idle", Remote: "[fd00::7]:50313", Local: "[fd00::1]:6432",
			Since: noon.Add(-time.Minute), Request: noon.Add(-30 * time.Second), Server: 6, Pins: []string{"listen", "temporary object"},
			Pinned: noon.Add(-time.Minute), Quiet: noon.Add(-30 * time.Second),
		},
		{ID: 43, User: "api", Database: "pt-dua", Replication: "logical", State: "waiting", Remote: "10.0.0.8:1", Since: noon, Wait: 2*time.Second + 7*time.Microsecond},
	}, h.fault()
}

func (h *harbour) Servers(context.Context) ([]console.Server, error) {
	return []console.Server{
		{ID: 5, User: "t_1_app_1", Database: "pt-satu", State: "active", Remote: "10.1.0.1:5432", Local: "10.0.0.1:40001", Since: noon.Add(-time.Hour), Request: noon, Client: 41, PID: 1234, Statements: 4},
		{ID: 6, User: "t_1_app_1", Database: "pt-satu", State: "active", Remote: "10.1.0.1:5432", Local: "10.0.0.1:40002", Since: noon.Add(-time.Hour), Client: 42, PID: 1235},
		{ID: 7, User: "t_1_app_1", Database: "pt-satu", State: "idle", Remote: "10.1.0.1:5432", Local: "10.0.0.1:40003", Since: noon, PID: 1236, TLS: "TLSv1.3", Closing: true},
	}, h.fault()
}

func (h *harbour) Databases(context.Context) ([]console.Database, error) {
	return []console.Database{
		{Name: "pt-dua", Host: "10.1.0.2", Port: 5432, Database: "nusa_journal_pt_dua", PoolSize: 4, Mode: "session", MaxClients: 100, Clients: 1, Disabled: true},
		{Name: "pt-satu", Host: "10.1.0.1", Port: 5432, Database: "nusa_journal_pt_satu", PoolSize: 10, MinPoolSize: 2, ServerLifetime: time.Hour, Servers: 6, Clients: 9, Paused: true},
	}, h.fault()
}

func (h *harbour) Users(context.Context) ([]console.User, error) {
	return []console.User{{Name: "api", Clients: 1}, {Name: "app", Mode: "auto", MaxClients: 50, Clients: 9}}, h.fault()
}

func (h *harbour) Settings() []console.Setting {
	return []console.Setting{
		{Name: "max_client_conn", Value: "10000", Default: "10000"},
		{Name: "max_user_connections", Value: "0", Default: "0"},
		{Name: "client_tls_cert_file", Value: "/etc/dermaga/cert.pem", Reloads: true},
	}
}

func (h *harbour) Paused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paused
}

func (h *harbour) LoginClients() int { return 2 }

func (h *harbour) Pause(ctx context.Context, db string) error {
	if db == "nobody" {
		return console.ErrNoDatabase
	}
	_ = h.order("pause %s", db)
	if h.pausing != nil {
		select {
		case <-h.pausing:
		case <-ctx.Done():
			_ = h.order("pause %s undone", db)
			return context.Cause(ctx)
		}
	}
	return nil
}

func (h *harbour) Resume(_ context.Context, db string) error {
	if db == "pt-dua" || db == "" {
		return console.ErrNotPaused
	}
	return h.order("resume %s", db)
}

func (h *harbour) Kill(_ context.Context, db string) error      { return h.order("kill %s", db) }
func (h *harbour) Reconnect(_ context.Context, db string) error { return h.order("reconnect %s", db) }
func (h *harbour) Reload(context.Context) error                 { return h.order("reload") }

func (h *harbour) KillClient(_ context.Context, id uint64) (bool, error) {
	return id == 41, h.order("kill client %d", id)
}

// A door lets whoever connects talk to a console, without a password.
type door struct {
	*console.Console
	address string
	key     uint32 // of the newest visit
	reports chan string

	mu     sync.Mutex
	role   console.Role
	visits map[uint32]*console.Visit
}

func (d *door) become(r console.Role) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.role = r
}

// open serves a console over p until the test ends.
func open(t testing.TB, p console.Pooler, role console.Role) *door {
	t.Helper()
	d := &door{role: role, visits: map[uint32]*console.Visit{}, reports: make(chan string, 100)}
	d.Console = console.New(console.Config{
		Pooler: p, Version: "1.0.0", MaxVisits: 5, Now: func() time.Time { return noon },
		Report: func(who console.Visitor, command string, err error) {
			d.reports <- fmt.Sprintf("%s: %s: %v", who.User, command, err)
		},
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d.address = ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { d.receive(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = ln.Close()
		serving.Wait()
	})
	return d
}

// receive does what the broker's ceremony does.
func (d *door) receive(ctx context.Context, conn net.Conn) {
	b := pgproto3.NewBackend(conn, conn)
	for {
		m, err := b.ReceiveStartupMessage()
		if err != nil {
			_ = conn.Close()
			return
		}
		switch m := m.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			_, _ = conn.Write([]byte{'N'})
			continue
		case *pgproto3.CancelRequest:
			d.mu.Lock()
			d.visits[m.ProcessID].Cancel(context.Background())
			d.mu.Unlock()
			_ = conn.Close()
		case *pgproto3.StartupMessage:
			d.welcome(ctx, conn, b, m.Parameters)
		}
		return
	}
}

func (d *door) welcome(ctx context.Context, conn net.Conn, b *pgproto3.Backend, params map[string]string) {
	d.mu.Lock()
	d.key++
	key := d.key
	visit, ok := d.Admit(console.Visitor{
		ID: 1000 + uint64(key), Database: params["database"], User: params["user"], Remote: "127.0.0.1:1", Local: "127.0.0.1:6432",
		Application: params["application_name"],
		Role: func(context.Context) console.Role {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.role
		},
	})
	d.visits[key] = visit
	d.mu.Unlock()
	if !ok {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "53300", Message: "full"})
		_ = b.Flush()
		_ = conn.Close()
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	for _, p := range console.Greeting() {
		b.Send(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	b.Send(&pgproto3.BackendKeyData{ProcessID: key, SecretKey: []byte("1234")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() != nil {
		visit.Leave()
		_ = conn.Close()
		return
	}
	visit.Serve(ctx, conn)
}
