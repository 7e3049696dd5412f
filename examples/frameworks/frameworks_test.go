package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/tenancy"
)

// harbour is the `dermaga dev` of all tests, with the company pt-dua beside demo.
var harbour struct {
	*dermagatest.Dev
	url string
}

func TestMain(m *testing.M) {
	dermagatest.MainWithDev(m, "examples/frameworks", func(ctx context.Context, d *dermagatest.Dev) (err error) {
		harbour.Dev = d
		if _, err := d.Run(ctx, "tenant", "create", "pt-dua", "--name", "PT Dua"); err != nil {
			return err
		}
		harbour.url, err = d.URL(ctx, "login", "create", "frameworks", "--service", "--grant", "all")
		return err
	})
}

func TestEachFrameworkServesEachCompanyItsOwn(t *testing.T) {
	for name, with := range map[string]func(*tenancy.Clients) http.Handler{"chi": withChi, "echo": withEcho, "gin": withGin} {
		t.Run(name, func(t *testing.T) {
			clients, err := tenancy.Open(tenancy.Config{URL: harbour.url})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, clients.Close(context.Background())) })
			ask := func(method, path, body string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				with(clients).ServeHTTP(w, r)
				return w
			}
			require.Equal(t, http.StatusOK, ask("GET", "/health", "").Code)
			for _, slug := range []string{"demo", "pt-dua"} {
				w := ask("GET", "/"+slug+"/accounts", "")
				require.Equal(t, http.StatusOK, w.Code, w.Body)
				var codes []string
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &codes))
				require.Contains(t, codes, "1-0000")

				customer := fmt.Sprint(name, " of ", slug)
				w = ask("POST", "/"+slug+"/contacts", `{"name": "`+customer+`"}`)
				require.Equal(t, http.StatusCreated, w.Code, w.Body)
				require.Equal(t, []string{customer}, customers(t, slug, name))
			}
			require.Equal(t, http.StatusBadRequest, ask("POST", "/demo/contacts", "{").Code)
			require.Equal(t, http.StatusUnprocessableEntity, ask("POST", "/demo/contacts", "{}").Code)
			w := ask("GET", "/pt-tiada/accounts", "")
			require.Equal(t, http.StatusNotFound, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))

			_, err = harbour.Run(t.Context(), "tenant", "suspend", "pt-dua", "--reason", "a test")
			require.NoError(t, err)
			require.Equal(t, http.StatusLocked, ask("GET", "/pt-dua/accounts", "").Code)
			_, err = harbour.Run(t.Context(), "tenant", "resume", "pt-dua")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return ask("GET", "/pt-dua/accounts", "").Code == http.StatusOK }, 20*time.Second, 10*time.Millisecond)
		})
	}
}

// customers are those that a framework has made, seen past the broker.
func customers(t *testing.T, slug, framework string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), harbour.Around("nusa_journal_"+strings.ReplaceAll(slug, "-", "_")))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT name FROM contacts WHERE name LIKE $1 || ' of %'", framework)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}
