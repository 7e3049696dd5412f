package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

func TestMain(m *testing.M) {
	pgtest.Main(m,
		// golang-lru's expiry cannot be ended (its Close is commented out); there are two per registry.
		goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1"))
}

// testKey is an ENCRYPTION_KEY.
const testKey = "6f1c9a0be37d5248c4e1b7830f5a92d6ec3481bd7a0f69255dcb1e8497f302a4"

var discard = slog.New(slog.DiscardHandler)

// patience bounds every wait of a test: far longer than anything takes.
const patience = 20 * time.Second

// A town is a registry of a test's own: what it says can be changed at once, and
// lies. Safe for concurrent use.
type town struct {
	mu      sync.Mutex
	entries map[[2]string]registry.Entry // by slug and login
	service map[string]registry.Entry    // by login: for every slug that has no entry of its own
	down    bool
	asked   [][2]string
	changed []func(registry.Change)
	changes int64 // announced
	acked   int64
}

func newTown() *town {
	return &town{entries: map[[2]string]registry.Entry{}, service: map[string]registry.Entry{}}
}

func (w *town) Lookup(_ context.Context, slug, login string) (registry.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, [2]string{slug, login})
	if w.down {
		return registry.Entry{}, registry.ErrUnavailable
	}
	if e, ok := w.entries[[2]string{slug, login}]; ok {
		return e, nil
	}
	return w.service[login], nil
}

func (w *town) LookupFresh(ctx context.Context, slug, login string) (registry.Entry, error) {
	return w.Lookup(ctx, slug, login)
}

func (w *town) OnChange(f func(registry.Change)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = append(w.changed, f)
}

// alter changes one entry and announces it.
func (w *town) alter(slug, login string, f func(*registry.Entry)) {
	w.mu.Lock()
	e := w.entries[[2]string{slug, login}]
	if e.Route != nil {
		route := *e.Route
		e.Route = &route
	}
	if e.Login != nil {
		l := *e.Login
		e.Login = &l
	}
	f(&e)
	if e.Tenant != nil && e.Route != nil {
		e.Route.Version++
		tenant := *e.Tenant
		tenant.Status, tenant.StatusReason, tenant.Version = e.Route.Status, e.Route.StatusReason, e.Route.Version
		e.Tenant = &tenant
	}
	w.entries[[2]string{slug, login}] = e
	listeners := w.changed
	w.changes++
	change := registry.Change{ID: w.changes, Entity: "tenants", EntityID: "id-" + slug}
	w.mu.Unlock()
	for _, f := range listeners {
		f(change)
	}
}

func (w *town) TenantStates(_ context.Context, ids []string) (map[string]registry.TenantState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, registry.ErrUnavailable
	}
	out := map[string]registry.TenantState{}
	for _, id := range ids {
		for _, e := range w.entries {
			if t := e.Tenant; t != nil && t.ID == id {
				out[id] = registry.TenantState{ID: id, Slug: t.Slug, Status: t.Status, Reason: t.StatusReason, Version: t.Version}
			}
		}
	}
	return out, nil
}

func (w *town) Acknowledge(change int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = max(w.acked, change)
}

// A town has one broker, which shares nothing.

func (w *town) Stats() registry.Stats { return registry.Stats{} }

func (w *town) Self() (registry.Instance, bool)                                 { return registry.Instance{}, false }
func (w *town) Instances(context.Context) ([]registry.Instance, error)          { return nil, nil }
func (w *town) SetDraining(context.Context, bool) error                         { return nil }
func (w *town) SetPeerAddress(context.Context, string) error                    { return nil }
func (w *town) Shares(context.Context, func(int64) int, func(int64, int)) error { return nil }

// lookups is how often the registry was asked.
func (w *town) lookups() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// upstream is how to reach a tenant's server as one of its roles.
type upstream struct {
	server         registry.Server
	database, role string
	password       registry.Secret
}

// settle makes a tenant with one login, both called slug, whose password is
// "right".
func (w *town) settle(slug string, up upstream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries[[2]string{slug, slug}] = entryOf(slug, slug, "right", up)
}

func entryOf(slug, login string, password registry.Secret, up upstream) registry.Entry {
	return registry.Entry{
		Login:   &registry.Login{ID: "login-" + login, Name: login, Kind: registry.App, Verifiers: []string{verifier(password)}},
		Tenant:  &registry.Tenant{ID: "id-" + slug, Slug: slug, Status: registry.Active},
		Granted: true,
		Route: &registry.Route{
			TenantID: "id-" + slug, Slug: slug, Status: registry.Active, Server: up.server, Database: up.database, Role: up.role,
			Kind: registry.App, Generation: 1, Password: up.password, PoolSize: 4, Plan: "STARTER",
		},
	}
}

var verifiers sync.Map // by password: each costs a PBKDF2

// verifier makes a SCRAM verifier as the registry keeps it.
func verifier(password registry.Secret) string {
	if v, ok := verifiers.Load(password); ok {
		return v.(string)
	}
	client, err := scram.SHA256.NewClientUnprepped("", password.Reveal(), "")
	if err != nil {
		panic(err)
	}
	salt := sha256.Sum256([]byte(password.Reveal()))
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt[:16]), Iters: 4096})
	if err != nil {
		panic(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	v := fmt.Sprintf("SCRAM-SHA-256$4096:%s$%s:%s", b64(salt[:16]), b64(keys.StoredKey), b64(keys.ServerKey))
	verifiers.Store(password, v)
	return v
}

// fakeUpstream is a scripted server that lets in whoever knows "upstream".
func fakeUpstream(t testing.TB) upstream {
	return scripted(t, func(c *fakepg.Conn) {
		if _, ok := c.Startup(); ok && c.SCRAM("upstream", fakepg.Lie{}) {
			c.Ready()
			c.Echo()
		}
	})
}

func scripted(t testing.TB, script func(*fakepg.Conn)) upstream {
	s := fakepg.Serve(t, script)
	return upstream{
		server:   registry.Server{ID: 1, Name: "fake", Host: s.Host, Port: s.Port, SSLMode: "disable"},
		database: "d", role: "r", password: "upstream",
	}
}

var roles struct {
	sync.Mutex
	n int
}

// realUpstream is a database of the test's own on a real PostgreSQL, with a role
// that is no superuser.
func realUpstream(t testing.TB) upstream {
	t.Helper()
	raw := pgtest.Database(t)
	u, err := url.Parse(raw)
	require.NoError(t, err)
	roles.Lock()
	roles.n++
	role := fmt.Sprintf("broker_test_%d", roles.n)
	roles.Unlock()
	database := u.Path[1:]
	admin(t, raw, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'upstream'; GRANT ALL ON DATABASE %s TO %[1]s`, role, database))
	t.Cleanup(func() {
		admin(t, raw, fmt.Sprintf(`DROP OWNED BY %s; DROP ROLE %[1]s`, role))
	})
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	return upstream{
		server:   registry.Server{ID: 2, Name: "real", Host: u.Hostname(), Port: port, SSLMode: "prefer"},
		database: database, role: role, password: "upstream",
	}
}

// admin runs SQL as the cluster's superuser.
func admin(t testing.TB, url, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}

// serve runs a broker over dir until the test ends and returns its address.
func serve(t testing.TB, dir broker.Directory, change ...func(*broker.Config)) string {
	t.Helper()
	_, address := serveBroker(t, dir, change...)
	return address
}

func serveBroker(t testing.TB, dir broker.Directory, change ...func(*broker.Config)) (*broker.Broker, string) {
	t.Helper()
	cfg := broker.Config{Log: slog.New(slog.DiscardHandler), Loops: 1}
	for _, f := range change {
		f(&cfg)
	}
	b, err := broker.Start(cfg, dir)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- b.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.Shutdown(ctx) // clients that the test left are closed when ctx ends
		require.NoError(t, <-served)
	})
	return b, ln.Addr().String()
}

// certificate makes a self-signed certificate for localhost and 127.0.0.1, or
// for another host.
func certificate(t testing.TB, host ...string) (cert tls.Certificate, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if len(host) > 0 {
		template.DNSNames, template.IPAddresses = host, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca
}

// withTLS gives the broker a certificate.
func withTLS(t testing.TB) func(*broker.Config) {
	cert, _ := certificate(t)
	return func(c *broker.Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} }
}

// eventually waits for a condition that another goroutine makes true.
func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, 2*time.Millisecond, what)
}
