package tenancy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/tenancy"
)

// told answers with the tenant, its database and the path.
var told = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	tn := tenancy.FromContext(r.Context())
	if tn == nil {
		fmt.Fprintf(w, "nobody at %s", r.URL.EscapedPath())
		return
	}
	name, err := database(r.Context(), tn)
	if err != nil {
		tenancy.WriteError(w, r, err)
		return
	}
	fmt.Fprintf(w, "%s in %s at %s", tn.Slug(), name, r.URL.EscapedPath())
})

func ask(h http.Handler, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSlugIsTheFirstSegmentOfThePath(t *testing.T) {
	h := open(t).Middleware()(told)
	require.Equal(t, "pt-satu in nusa_journal_pt_satu at /pt-satu/accounts", ask(h, "/pt-satu/accounts").Body.String())
	require.Equal(t, "pt-dua in nusa_journal_pt_dua at /pt-dua", ask(h, "/pt-dua").Body.String())
}

func TestPrefixIsStrippedFromBothPaths(t *testing.T) {
	h := open(t).Middleware(tenancy.StripPrefix())(told)
	require.Equal(t, "pt-satu in nusa_journal_pt_satu at /accounts/", ask(h, "/pt-satu/accounts/").Body.String())
	require.Equal(t, "pt-satu in nusa_journal_pt_satu at /", ask(h, "/pt-satu").Body.String())
	require.Equal(t, "pt-satu in nusa_journal_pt_satu at /files/a%2Fb", ask(h, "/pt-satu/files/a%2Fb").Body.String())
}

func TestSlugOfTheHostAndOfAHeader(t *testing.T) {
	c := open(t)
	byHost := c.Middleware(tenancy.FromHost("example.com"))(told)
	for host, status := range map[string]int{
		"pt-satu.example.com": 200, "PT-Satu.Example.Com:8443": 200,
		"example.com": 404, "a.pt-satu.example.com": 404, "pt-satu.example.org": 404, "pt-satuexample.com": 404, "[::1]:80": 404, "": 404,
	} {
		w := ask(byHost, "/x", func(r *http.Request) { r.Host = host })
		require.Equal(t, status, w.Code, host)
	}
	byHeader := c.Middleware(tenancy.FromHeader("X-Tenant"))(told)
	for status, values := range map[int][]string{200: {"pt-dua"}, 404: {"pt-dua", "pt-satu"}} {
		w := ask(byHeader, "/x", func(r *http.Request) { r.Header["X-Tenant"] = values })
		require.Equal(t, status, w.Code, "%q", values)
	}
	require.Equal(t, http.StatusNotFound, ask(byHeader, "/pt-satu").Code, "no header")
}

func TestSomePathsNeedNoTenant(t *testing.T) {
	h := open(t).Middleware(tenancy.Skip("/metrics", "/static/", "GET /{$}"))(told)
	for _, path := range []string{"/auth/login", "/auth/register", "/health", "/metrics", "/static/a/b.css", "/"} {
		require.Equal(t, "nobody at "+path, ask(h, path).Body.String())
	}
	for _, path := range []string{"//health", "/pt-satu/../health", "/healthy", "/health/", "/auth/loginx", "/static"} {
		w := ask(h, path)
		require.NotContains(t, w.Body.String(), "nobody", path)
	}
}

func TestWhatIsNoTenantIsNotFound(t *testing.T) {
	h := open(t).Middleware()(told)
	for _, path := range []string{
		"/", "//pt-satu/x", "/../pt-satu/x", "/%2e%2e/pt-satu", "/PT-SATU/x", "/%70t-satu/x", "/pt-satu%2Fx", "/pt-satu%00/x",
		"/postgres/x", "/dermaga/x", "/" + strings.Repeat("a", 50) + "/x", "/pt%20satu/", "/pt-sätu/x", "/pt-satu;x/y", "/tidak-ada/x",
	} {
		w := ask(h, path)
		require.Equal(t, http.StatusNotFound, w.Code, path)
		p := problem(t, w)
		require.Equal(t, "Tenant not found", p.Title, path)
	}
}

func TestPatternsMayOverlap(t *testing.T) {
	h := open(t).Middleware(tenancy.Skip("/health", "/metrics"), tenancy.Skip("/metrics", "/{any}/logo", "/static/{file}"))(told)
	for _, path := range []string{"/health", "/metrics", "/static/logo", "/pt-satu/logo"} {
		require.Equal(t, "nobody at "+path, ask(h, path).Body.String())
	}
	require.Panics(t, func() { tenancy.Skip("no slash") })
}

// problem reads one, and makes sure that it tells nothing of how we are connected.
func problem(t *testing.T, w *httptest.ResponseRecorder) (p tenancy.Problem) {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	body := w.Body.String()
	for _, secret := range []string{"journal-api", "127.0.0.1", "postgresql", "nusa_journal"} {
		require.NotContains(t, body, secret)
	}
	require.NoError(t, json.Unmarshal([]byte(body), &p), body)
	require.Equal(t, w.Code, p.Status)
	return p
}

func TestStatusOfTheTenantIsTheAnswer(t *testing.T) {
	c := open(t)
	h := c.Middleware()(told)
	run := func(args ...string) {
		_, err := harbour.Run(t.Context(), args...)
		require.NoError(t, err)
	}
	run("tenant", "create", "pt-status", "--name", "PT Status")
	require.Eventually(t, func() bool { return ask(h, "/pt-status").Code == http.StatusOK }, patience, 10*time.Millisecond)

	run("tenant", "suspend", "pt-status", "--reason", "invoice 7 is not paid")
	w := ask(h, "/pt-status") // by a handler whose pool is open
	require.Equal(t, http.StatusLocked, w.Code)
	require.NotContains(t, w.Body.String(), "invoice")
	require.Equal(t, "Tenant suspended", problem(t, w).Title)
	c.DisconnectAll()
	require.Equal(t, http.StatusLocked, ask(h, "/pt-status").Code, "by the middleware, which opens it")
	run("tenant", "resume", "pt-status")
	require.Eventually(t, func() bool { return ask(h, "/pt-status").Code == http.StatusOK }, patience, 10*time.Millisecond)

	for _, passing := range []struct{ before, status, title string }{
		{"ACTIVE", "MIGRATING", "Tenant is being migrated"},
		{"SUSPENDED", "PROVISIONING", "Tenant is being made"},
	} {
		setStatus(t, "pt-status", passing.before)
		setStatus(t, "pt-status", passing.status)
		c.DisconnectAll()
		require.Eventually(t, func() bool { w = ask(h, "/pt-status"); return w.Code == http.StatusServiceUnavailable }, patience, 10*time.Millisecond)
		require.Equal(t, passing.title, problem(t, w).Title)
		require.Equal(t, "5", w.Header().Get("Retry-After"))
		setStatus(t, "pt-status", "ACTIVE")
		require.Eventually(t, func() bool { return ask(h, "/pt-status").Code == http.StatusOK }, patience, 10*time.Millisecond)
	}

	run("tenant", "delete", "pt-status")
	require.Eventually(t, func() bool { w = ask(h, "/pt-status"); return w.Code == http.StatusNotFound }, patience, 10*time.Millisecond)
	require.Equal(t, "Tenant not found", problem(t, w).Title)
}

// setStatus changes the registry past the API: only a migration sets some of them.
func setStatus(t *testing.T, slug, status string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), harbour.Info.RegistryURL)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "update dermaga.tenants set status = $2 where slug = $1", slug, status)
	require.NoError(t, err)
}

func TestReasonsThatTheBrokerGives(t *testing.T) {
	for _, c := range []struct {
		said   pgconn.PgError
		status int
	}{
		{pgconn.PgError{Code: "57P03", Routine: "tenant_provisioning"}, 503},
		{pgconn.PgError{Code: "57P01", Routine: "tenant_suspended"}, 423},
		{pgconn.PgError{Code: "57P01"}, 503},
		{pgconn.PgError{Code: "08006"}, 503},
		{pgconn.PgError{Code: "57014"}, 504},
		{pgconn.PgError{Code: "25P04"}, 504},
		{pgconn.PgError{Code: "28P01"}, 500}, // the service's own password
		{pgconn.PgError{Code: "3D000"}, 500}, // PostgreSQL's: the tenant is known
		{pgconn.PgError{Code: "23505"}, 500}, // a query's: the handler should have looked
	} {
		err := fmt.Errorf("query: %w", &c.said)
		require.Equal(t, c.status, tenancy.ProblemOf(err).Status, "%+v", c.said)
	}
}

func TestLimitsAreTooManyRequests(t *testing.T) {
	_, err := harbour.Run(t.Context(), "tenant", "create", "pt-penuh", "--name", "PT Penuh")
	require.NoError(t, err)
	_, err = harbour.Run(t.Context(), "tenant", "set", "pt-penuh", "--max-clients", "1")
	require.NoError(t, err)
	c := open(t)
	require.Eventually(t, func() bool { return visit(t.Context(), c, "pt-penuh") == nil }, patience, 10*time.Millisecond)
	w := ask(open(t).Middleware()(told), "/pt-penuh/x")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, "Too many connections", problem(t, w).Title)
}

func TestBrokerThatIsAwayIsNotAvailable(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.URL = "postgresql://u:hunter2@127.0.0.1:1/" })
	w := ask(c.Middleware()(told), "/pt-satu/x")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "hunter2")
	problem(t, w)
}

func TestOwnFormOfErrors(t *testing.T) {
	h := open(t).Middleware(tenancy.OnError(func(w http.ResponseWriter, _ *http.Request, p *tenancy.Problem) {
		w.WriteHeader(p.Status)
		_, _ = io.WriteString(w, "no: "+p.Title)
	}))(told)
	require.Equal(t, "no: Tenant not found", ask(h, "/PT/x").Body.String())
}

func TestWhatIsNoBusinessOfTheTenantsStaysInside(t *testing.T) {
	cause := errors.New("password is hunter2")
	p := tenancy.ProblemOf(cause)
	require.Equal(t, http.StatusInternalServerError, p.Status)
	require.NotContains(t, p.Error(), "hunter2")
	require.ErrorIs(t, p, cause, "for the log")
}
