package nestjs_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestEachTenantAnswersItsOwnRowsOnly(t *testing.T) {
	a := start(t, dev.url)
	require.NoError(t, a.check(t.Context()))

	// What is written arrives in the tenant's own database.
	ask, ctx := errgroup.WithContext(t.Context())
	for i := range rounds {
		for _, tn := range dev.tenants {
			ask.Go(func() error {
				var made user
				mine := user{Email: fmt.Sprintf("n%d@%s", i, tn.slug), Name: tn.slug}
				return a.into(ctx, http.StatusCreated, http.MethodPost, "/"+tn.slug+"/users", mine, &made)
			})
		}
	}
	require.NoError(t, ask.Wait())
	require.NoError(t, a.check(t.Context()))
	for _, tn := range dev.tenants {
		conn := connect(t, dev.Around(tn.database))
		var own, foreign int
		const sql = `SELECT count(*) FILTER (WHERE name = $1), count(*) FILTER (WHERE name <> $1) FROM users`
		require.NoError(t, conn.QueryRow(t.Context(), sql, tn.slug).Scan(&own, &foreign))
		require.Equal(t, rounds+1, own)
		require.Zero(t, foreign, "rows of others in %s", tn.database)
	}

	var stats struct {
		ActiveConnections, MaxConnections int
		Tenants                           []string
	}
	require.NoError(t, a.into(t.Context(), http.StatusOK, http.MethodGet, "/health/stats", nil, &stats))
	require.Equal(t, 2, stats.ActiveConnections)
	require.Equal(t, 50, stats.MaxConnections)
	require.ElementsMatch(t, []string{"demo", "pt-media-nusa"}, stats.Tenants)
}

func TestEntryIsPostedAndOneThatDoesNotBalanceIsRefused(t *testing.T) {
	a := start(t, dev.url)
	type line struct {
		Account string  `json:"account"`
		Debit   *string `json:"debit,omitempty"`
		Credit  *string `json:"credit,omitempty"`
	}
	entry := func(debit, credit string) map[string]any {
		year := periodYear(t)
		return map[string]any{
			"date": year + "-03-02", "description": "credit sale",
			"lines": []line{{Account: "1-1300", Debit: &debit}, {Account: "4-1000", Credit: &credit}},
		}
	}
	var posted struct {
		Number, Status string
		Lines          []struct{ Debit, Credit string }
	}
	require.NoError(t, a.into(t.Context(), http.StatusCreated, http.MethodPost, "/demo/journal-entries", entry("1110000", "1110000.00"), &posted))
	require.Equal(t, "POSTED", posted.Status)
	require.Regexp(t, `^JU-\d{4}-00001$`, posted.Number)

	got, err := a.ask(t.Context(), http.MethodPost, "/demo/journal-entries", entry("1110000", "1"))
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, got.status, string(got.body))
	require.Contains(t, string(got.body), "is not balanced")

	got, err = a.ask(t.Context(), http.MethodPost, "/demo/users", map[string]string{"name": "no address"})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, got.status, string(got.body))

	var entries []struct {
		Number string
		Lines  []struct{ Account struct{ Code string } }
	}
	require.NoError(t, a.into(t.Context(), http.StatusOK, http.MethodGet, "/demo/journal-entries", nil, &entries))
	require.Len(t, entries, 1)
	require.Equal(t, "1-1300", entries[0].Lines[0].Account.Code)
	require.NoError(t, a.into(t.Context(), http.StatusOK, http.MethodGet, "/pt-media-nusa/journal-entries", nil, &entries))
	require.Empty(t, entries)
}

// periodYear is the year whose periods the tenant was made with.
func periodYear(t *testing.T) (year string) {
	t.Helper()
	conn := connect(t, dev.Around(dev.tenants[0].database))
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT max(id)::text FROM fiscal_years`).Scan(&year))
	return year
}

func TestPathsAreTenantsOrSkipped(t *testing.T) {
	a := start(t, dev.url)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/health":              {http.StatusOK, `"ok"`},
		"/auth/login":          {http.StatusNotFound, "Cannot GET /auth/login"}, // skipped, and not there
		"/auth/register":       {http.StatusNotFound, "Cannot GET /auth/register"},
		"/nobody/users":        {http.StatusNotFound, `database \"nobody\" does not exist`},
		"/PT-Media-Nusa/users": {http.StatusNotFound, "no such tenant"},
		"/demo--x/users":       {http.StatusNotFound, "no such tenant"},
		"/%64emo/users":        {http.StatusNotFound, "no such tenant"},
		"/postgres/users":      {http.StatusNotFound, "does not exist"},
		"/demo%2f..%2fx/users": {http.StatusNotFound, "no such tenant"},
	} {
		got, err := a.ask(t.Context(), http.MethodGet, path, nil)
		require.NoError(t, err)
		require.Equal(t, want.status, got.status, "%s: %s", path, got.body)
		require.Contains(t, string(got.body), want.text, path)
	}
}

func TestSuspendedTenantIsLockedAndComesBack(t *testing.T) {
	a := start(t, dev.url)
	require.NoError(t, a.check(t.Context()))
	_, err := dev.Run(t.Context(), "tenant", "suspend", "demo", "--reason", "unpaid")
	require.NoError(t, err)
	resume := func(ctx context.Context) error {
		_, err := dev.Run(ctx, "tenant", "resume", "demo")
		return err
	}
	t.Cleanup(func() { require.NoError(t, resume(context.Background())) })

	got, err := a.ask(t.Context(), http.MethodGet, "/demo/users", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusLocked, got.status, string(got.body))
	require.Contains(t, string(got.body), "is suspended")
	require.NoError(t, a.ownUsersOnly(t.Context(), dev.tenants[1]), "the other one is served")

	require.NoError(t, resume(t.Context()))
	require.NoError(t, a.check(t.Context()))
}

func TestMigratingTenantIsUnavailableForNow(t *testing.T) {
	a := start(t, dev.url)
	registry := connect(t, dev.Info.RegistryURL)
	set := func(status string) {
		_, err := registry.Exec(context.Background(), `UPDATE dermaga.tenants SET status = $1::dermaga.tenant_status WHERE slug = 'demo'`, status)
		require.NoError(t, err)
	}
	set("MIGRATING")
	t.Cleanup(func() { set("ACTIVE") })
	require.Eventually(t, func() bool {
		got, err := a.ask(t.Context(), http.MethodGet, "/demo/users", nil)
		return err == nil && got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != ""
	}, askLimit, askLimit/100)
}

func TestLimitOfClientsIsTooManyRequests(t *testing.T) {
	narrow, err := dev.URL(t.Context(), "login", "create", "narrow", "--service", "--grant", "all", "--max-clients", "1")
	require.NoError(t, err)
	a := start(t, narrow)
	conn, err := pgx.Connect(t.Context(), narrow+"demo")
	require.NoError(t, err)
	got, err := a.ask(t.Context(), http.MethodGet, "/demo/users", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusTooManyRequests, got.status, string(got.body))
	require.Equal(t, "1", got.header.Get("Retry-After"))

	require.NoError(t, conn.Close(t.Context()))
	require.Eventually(t, func() bool { return a.ownUsersOnly(t.Context(), dev.tenants[0]) == nil }, askLimit, askLimit/100)
}

func TestClientThatIsPutAsideWhileInUseServesOn(t *testing.T) {
	a := start(t, dev.url, "MAX_CONNECTIONS=1")
	for range 3 {
		require.NoError(t, a.check(t.Context()))
	}
	var stats struct{ ActiveConnections, MaxConnections int }
	require.NoError(t, a.into(t.Context(), http.StatusOK, http.MethodGet, "/health/stats", nil, &stats))
	require.Equal(t, 1, stats.ActiveConnections)
	require.Equal(t, 1, stats.MaxConnections)
}

// The manager, the middleware and the service of the first version are what this
// example is about: every line of theirs counts, comments and blanks as well.
func TestTenancyCodeIsUnderSixtyLines(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(example, "src/tenancy/*"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	lines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			require.LessOrEqual(t, len(line), 120, "a long line counts for more: %s", line)
			lines++
		}
	}
	t.Logf("%d lines", lines)
	require.Less(t, lines, 60)
}
