package service_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var reads = []string{
	"/accounts", "/periods", "/taxes", "/entries", "/entries/1", "/reports/trial-balance", "/reports/ledger?account=1-1100",
	"/reports/profit-and-loss", "/reports/balance-sheet",
}

func TestWithoutASessionNothingOfACompanyIsAnswered(t *testing.T) {
	t.Parallel()
	s := open(t)
	program, browser := s.program(t, ""), s.browser(t)
	for _, path := range reads {
		program.refused(http.StatusUnauthorized, "log in", "GET", "/~"+path, nil)
		resp, _ := browser.page(http.StatusSeeOther, "/~"+path)
		require.True(t, strings.HasPrefix(resp.Header.Get("Location"), "/auth/login?next=%2F"), resp.Header.Get("Location"))
	}
	for _, path := range []string{"/~/entries", "/~/entries/1/post", "/~/entries/1/reverse", "/~/periods", "/~/periods/1/close", "/~/accounts"} {
		program.refused(http.StatusUnauthorized, "log in", "POST", path, map[string]string{})
	}
	program.token = "eyJhIjoxfQ.c2ln"
	program.refused(http.StatusUnauthorized, "log in", "GET", "/~/entries", nil)
	program.token = ""
	program.json(http.StatusOK, nil, "GET", "/health", nil)
	program.refused(http.StatusUnauthorized, "is wrong", "POST", "/auth/login", map[string]string{"email": "viewer@example.com", "password": "guess"})
	require.NotContains(t, s.log.String(), password)
}

func TestASessionIsForItsOwnCompanies(t *testing.T) {
	t.Parallel()
	s := open(t)
	viewer := s.program(t, "viewer")
	for _, path := range reads {
		viewer.refused(http.StatusForbidden, "not for this company", "GET", "/other"+path, nil)
		viewer.refused(http.StatusForbidden, "not for this company", "GET", "/not--a-slug"+path, nil)
	}
	// Ways to write an address that two readers of it could take for different ones.
	for _, path := range []string{"/~%2F..%2Fother/entries", "//other/entries", "/%6fther/entries", "/~/../other/entries", "/.%2e/other/entries"} {
		req, err := http.NewRequest("GET", s.URL, nil)
		require.NoError(t, err)
		req.URL.Opaque = strings.Replace(path, "~", s.slug, 1)
		if strings.HasPrefix(path, "//") {
			req.URL.Opaque = s.URL[len("http:"):] + path
		}
		resp, text := viewer.do(req)
		require.GreaterOrEqual(t, resp.StatusCode, 300, "%s: %s", path, text)
	}

	// The login opens the door, and the company's own users who may come in.
	stranger := s.program(t, "stranger")
	stranger.refused(http.StatusForbidden, "is not among the users of", "GET", "/~/entries", nil)
	_, err := s.pool.Exec(t.Context(), "UPDATE users SET disabled_at = now() WHERE email = 'viewer@example.com'")
	require.NoError(t, err)
	viewer.refused(http.StatusForbidden, "is not among the users of", "GET", "/~/entries", nil)
}

func TestARoleSaysWhatItsUserMayDo(t *testing.T) {
	t.Parallel()
	s := open(t)
	viewer, staff, accountant := s.program(t, "viewer"), s.program(t, "staff"), s.program(t, "accountant")
	sale := sale("1110000.00")
	viewer.refused(http.StatusForbidden, "this takes STAFF", "POST", "/~/entries", sale)
	var e struct{ ID int }
	staff.json(http.StatusCreated, &e, "POST", "/~/entries", sale)
	viewer.json(http.StatusOK, nil, "GET", "/~/entries/1", nil)
	staff.refused(http.StatusForbidden, "this takes ACCOUNTANT", "POST", "/~/entries/1/post", nil)
	sale["post"] = true
	staff.refused(http.StatusForbidden, "posting takes ACCOUNTANT", "POST", "/~/entries", sale)
	staff.refused(http.StatusForbidden, "this takes ACCOUNTANT", "POST", "/~/periods/1/close", nil)
	accountant.json(http.StatusOK, nil, "POST", "/~/entries/1/post", nil)
	accountant.json(http.StatusCreated, nil, "POST", "/~/entries", sale)
}

func TestTheCookieIsForThisSiteAndScriptsCannotReadIt(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser(t)
	_, text := b.form(http.StatusUnauthorized, "/auth/login", url.Values{"email": {"accountant@example.com"}, "password": {"guess"}})
	require.Contains(t, text, "is wrong")
	require.Contains(t, text, `value="accountant@example.com"`)
	require.NotContains(t, text, "guess")

	login := url.Values{"email": {"accountant@example.com"}, "password": {password}, "next": {"/" + s.slug + "/accounts"}}
	resp, _ := b.form(http.StatusSeeOther, "/auth/login", login)
	require.Equal(t, "/"+s.slug+"/accounts", resp.Header.Get("Location"))
	c := resp.Cookies()[0]
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	for _, elsewhere := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "javascript:alert(1)", "entries"} {
		login.Set("next", elsewhere)
		resp, _ := b.form(http.StatusSeeOther, "/auth/login", login)
		require.Equal(t, "/", resp.Header.Get("Location"), elsewhere)
	}

	b.page(http.StatusOK, "/~/accounts")
	resp, _ = b.page(http.StatusSeeOther, "/")
	require.Equal(t, "/"+s.slug+"/entries", resp.Header.Get("Location"), "the only company")
	b.form(http.StatusForbidden, "/~/periods/1/close", nil, "Sec-Fetch-Site", "cross-site")
	b.form(http.StatusForbidden, "/~/periods/1/close", nil, "Sec-Fetch-Site", "", "Origin", "https://evil.example")
	b.form(http.StatusSeeOther, "/~/periods/1/close", nil)
	b.form(http.StatusSeeOther, "/auth/logout", nil)
	b.page(http.StatusSeeOther, "/~/accounts")
}

// sale is a sale with its VAT, for which amount is received.
func sale(amount string) map[string]any {
	return map[string]any{"date": "2026-03-31", "description": "Penjualan <kredit>", "lines": []map[string]string{
		{"account": "1-1300", "debit": amount},
		{"account": "4-1000", "credit": "1000000.00", "tax": "PPN-K"},
	}}
}
