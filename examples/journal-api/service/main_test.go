package service_test

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
	"github.com/nusajournal/dermaga/examples/journal-api/service"
	"github.com/nusajournal/dermaga/examples/journal-api/session"
	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/tenancy"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const password = "correct horse battery"

// hash is of password, with as few iterations as are allowed: each login costs them.
var hash = sync.OnceValues(func() (h session.Hash, err error) {
	const iterations = 100_000
	salt := []byte("sixteen bytes of")
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, 32)
	if err != nil {
		return h, err
	}
	b := base64.RawStdEncoding
	err = h.UnmarshalText(fmt.Appendf(nil, "pbkdf2-sha256$%d$%s$%s", iterations, b.EncodeToString(salt), b.EncodeToString(key)))
	return h, err
})

// A site is the service with one company, whose slug is that of its database: here
// PostgreSQL itself stands where the broker would.
type site struct {
	*httptest.Server
	slug string
	log  *dermagatest.Log
	pool *pgxpool.Pool
}

func open(t *testing.T) *site {
	t.Helper()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	// The slug of a company has no underscore, as the names of test databases have.
	slug := strings.ReplaceAll(conn.Config().Database, "_", "-")
	require.NoError(t, migrations.Journal().Up(ctx, conn, nil))
	require.NoError(t, migrations.SeedJournal(ctx, conn, 2026))
	require.NoError(t, conn.Close(ctx))
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	database := strings.TrimPrefix(u.Path, "/")

	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	h, err := hash()
	require.NoError(t, err)
	var list []session.User
	for _, role := range []ledger.Role{ledger.Viewer, ledger.Staff, ledger.Accountant} {
		email := strings.ToLower(string(role)) + "@example.com"
		require.NoError(t, ledger.PutUser(ctx, pool, ledger.User{Email: email, Name: email, Role: role}))
		list = append(list, session.User{Email: email, Password: h, Tenants: []string{slug}})
	}
	list = append(list, session.User{Email: "stranger@example.com", Password: h, Tenants: []string{slug, "other"}})
	users, err := session.NewUsers(list)
	require.NoError(t, err)
	tokens, err := session.NewTokens(bytes.Repeat([]byte("k"), 32), users)
	require.NoError(t, err)

	clients, err := tenancy.Open(tenancy.Config{URL: dsn, PoolConfig: func(_ string, c *pgxpool.Config) {
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			c.Database = strings.ReplaceAll(c.Database, slug, database)
			return nil
		}
	}})
	require.NoError(t, err)
	s := &site{slug: slug, log: &dermagatest.Log{}, pool: pool}
	s.Server = httptest.NewServer(service.Handler(service.Config{
		Tenants: clients, Users: users, Tokens: tokens, Version: "test", Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}))
	t.Cleanup(func() {
		s.Close()
		require.NoError(t, clients.Close(context.Background()))
	})
	return s
}

// An agent is a program with a token, or a browser with a cookie.
type agent struct {
	t     *testing.T
	site  *site
	token string
	http  *http.Client
}

func (s *site) program(t *testing.T, user string) *agent {
	t.Helper()
	a := &agent{t: t, site: s, http: s.Client()}
	if user != "" {
		var in struct{ Token string }
		a.json(http.StatusOK, &in, "POST", "/auth/login", map[string]string{"email": user + "@example.com", "password": password})
		a.token = in.Token
	}
	return a
}

func (s *site) browser(t *testing.T) *agent {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &agent{t: t, site: s, http: &http.Client{Transport: s.Client().Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

func (a *agent) do(req *http.Request) (*http.Response, string) {
	a.t.Helper()
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	return resp, string(text)
}

// json asks as a program does. In path, ~ is the company.
func (a *agent) json(status int, out any, method, path string, body any) {
	a.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(a.t, err)
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, a.site.URL+strings.Replace(path, "~", a.site.slug, 1), in)
	require.NoError(a.t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, text := a.do(req)
	require.Equal(a.t, status, resp.StatusCode, text)
	if status >= 400 {
		require.Equal(a.t, "application/problem+json", resp.Header.Get("Content-Type"))
	}
	if out != nil {
		require.NoError(a.t, json.Unmarshal([]byte(text), out), text)
	}
}

type problem struct {
	Status int
	Detail string
}

// refused is json for an answer that is a problem with that text.
func (a *agent) refused(status int, text, method, path string, body any) {
	a.t.Helper()
	var p problem
	a.json(status, &p, method, path, body)
	require.Equal(a.t, status, p.Status)
	require.Contains(a.t, p.Detail, text)
}

// page asks as a browser does, and form sends one.
func (a *agent) page(status int, path string) (*http.Response, string) {
	a.t.Helper()
	req, err := http.NewRequest("GET", a.site.URL+strings.Replace(path, "~", a.site.slug, 1), nil)
	require.NoError(a.t, err)
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	resp, text := a.do(req)
	require.Equal(a.t, status, resp.StatusCode, text)
	return resp, text
}

func (a *agent) form(status int, path string, fields url.Values, header ...string) (*http.Response, string) {
	a.t.Helper()
	req, err := http.NewRequest("POST", a.site.URL+strings.Replace(path, "~", a.site.slug, 1), strings.NewReader(fields.Encode()))
	require.NoError(a.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, text := a.do(req)
	require.Equal(a.t, status, resp.StatusCode, text)
	return resp, text
}

// header looks at an answer's header.
func (a *agent) header(method, path string, look func(http.Header)) {
	a.t.Helper()
	req, err := http.NewRequest(method, a.site.URL+strings.Replace(path, "~", a.site.slug, 1), nil)
	require.NoError(a.t, err)
	resp, _ := a.do(req)
	look(resp.Header)
}
