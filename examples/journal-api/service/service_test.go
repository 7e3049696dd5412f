package service_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheDatabasesWordsOnAnUnbalancedEntryComeAs422(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.program(t, "accountant")
	d := sale("1109999.99")
	a.json(http.StatusCreated, nil, "POST", "/~/entries", d)
	const words = "is not balanced: debit 1109999.99, credit 1110000.00, 3 lines"
	a.refused(http.StatusUnprocessableEntity, "journal entry 1 "+words, "POST", "/~/entries/1/post", nil)
	d["post"] = true
	a.refused(http.StatusUnprocessableEntity, words, "POST", "/~/entries", d)

	a.json(http.StatusCreated, nil, "POST", "/~/entries", sale("1110000.00"))
	var posted struct{ Number string }
	a.json(http.StatusOK, &posted, "POST", "/~/entries/3/post", map[string]string{"document": "INV"})
	require.Equal(t, "INV/2026/000001", posted.Number)
	a.refused(http.StatusConflict, "is POSTED already", "POST", "/~/entries/3/post", nil)
	a.refused(http.StatusConflict, "cannot be changed; post a reversal", "DELETE", "/~/entries/3", nil)
	a.refused(http.StatusNotFound, "not found", "GET", "/~/entries/99", nil)

	a.json(http.StatusOK, nil, "POST", "/~/periods/3/close", nil)
	d = sale("1110000.00")
	d["post"] = true
	a.refused(http.StatusUnprocessableEntity, "period 2026-03 is CLOSED", "POST", "/~/entries", d)
	a.json(http.StatusCreated, nil, "POST", "/~/entries/3/reverse", map[string]string{"date": "2026-04-01"})
}

func TestWhatIsNoAmountOrNoDateIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.program(t, "accountant")
	for _, amount := range []any{1110000.0, "1.110.000,00", "1e3", "", "-1", "0.001"} {
		d := sale("1.00")
		d["lines"] = []map[string]any{{"account": "1-1300", "debit": amount}}
		a.json(http.StatusUnprocessableEntity, nil, "POST", "/~/entries", d)
	}
	d := sale("1.00")
	d["date"] = "31-03-2026"
	a.json(http.StatusUnprocessableEntity, nil, "POST", "/~/entries", d)
	a.json(http.StatusUnprocessableEntity, nil, "GET", "/~/reports/trial-balance?from=today", nil)
	a.json(http.StatusUnprocessableEntity, nil, "GET", "/~/reports/ledger?account=cash", nil)
	a.json(http.StatusUnprocessableEntity, nil, "GET", "/~/reports/ledger", nil)
	a.refused(http.StatusNotFound, "there is no", "GET", "/~/nothing", nil)
	a.refused(http.StatusMethodNotAllowed, "not possible", "PUT", "/~/entries", nil)
}

func TestPeopleDraftAndPostByTheFormAndSeeTheReports(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser(t)
	b.form(http.StatusSeeOther, "/auth/login", url.Values{"email": {"accountant@example.com"}, "password": {password}})
	_, text := b.page(http.StatusOK, "/~/entries/new")
	require.Contains(t, text, `<option value="1-1300">`)

	form := url.Values{
		"date": {"2026-03-31"}, "description": {`Penjualan "kredit" <b>`}, "document": {"INV"}, "do": {"post"},
		"account": {"1-1300", "4-1000", ""}, "memo": {"", "", ""}, "tax": {"", "PPN-K", ""},
		"debit": {"1.110.000,50", "", ""}, "credit": {"", "1.000.000", ""},
	}
	_, text = b.form(http.StatusUnprocessableEntity, "/~/entries", form)
	require.Contains(t, text, "is not balanced: debit 1110000.50, credit 1110000.00, 3 lines")
	require.Contains(t, text, `value="1.110.000,50"`, "what was typed is kept")
	require.Contains(t, text, `value="Penjualan &#34;kredit&#34; &lt;b&gt;"`)

	form["debit"] = []string{"1000.50", "", ""}
	_, text = b.form(http.StatusUnprocessableEntity, "/~/entries", form)
	require.Contains(t, text, "is not a number like 1.110.000,00")

	form["debit"] = []string{"Rp 1.110.000,00", "", ""}
	resp, _ := b.form(http.StatusSeeOther, "/~/entries", form)
	_, text = b.page(http.StatusOK, resp.Header.Get("Location"))
	require.Contains(t, text, "INV/2026/000001")
	require.Contains(t, text, "110.000,00")
	require.Contains(t, text, "Penjualan &#34;kredit&#34; &lt;b&gt;")

	for path, want := range map[string]string{
		"/~/entries":                               "31 Mar 2026",
		"/~/reports/trial-balance":                 "1.110.000,00",
		"/~/reports/ledger?account=1-1300":         "Closing balance",
		"/~/reports/profit-and-loss":               "Laba bersih",
		"/~/reports/balance-sheet?date=2026-12-31": "Profit of the year so far",
		"/~/accounts":                              "Piutang Usaha",
		"/~/periods":                               "1 Mar 2026",
		"/~/taxes?date=2026-01-01":                 "12 %",
	} {
		_, text := b.page(http.StatusOK, path)
		require.Contains(t, text, want, path)
		require.NotContains(t, text, "<script", path)
	}
	_, text = b.form(http.StatusUnprocessableEntity, resp.Header.Get("Location")+"/reverse", url.Values{"date": {"2026-01-01"}})
	require.Contains(t, text, "its reversal cannot be earlier")
	b.form(http.StatusSeeOther, resp.Header.Get("Location")+"/reverse", url.Values{"date": {"2026-04-01"}})
}

func TestTheSameAddressIsJSONForProgramsAndAPageForBrowsers(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.program(t, "viewer")
	resp, text := a.page(http.StatusOK, "/~/accounts")
	require.Contains(t, resp.Header.Get("Content-Type"), "text/html")
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, resp.Header.Values("Vary"), "Accept")
	require.Contains(t, text, "<h1>Accounts")
	a.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, front := range []string{"/~", "/~/"} {
		resp, _ = a.page(http.StatusSeeOther, front)
		require.Equal(t, "/"+s.slug+"/entries", resp.Header.Get("Location"))
	}

	for path, media := range map[string]string{"/~/accounts": "application/json", "/~/accounts.html": "text/html; charset=utf-8"} {
		var got string
		a.header("GET", path, func(h http.Header) { got = h.Get("Content-Type") })
		require.Equal(t, media, got)
	}
}

func TestTheAPIDescribesItself(t *testing.T) {
	t.Parallel()
	s := open(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	s.program(t, "").json(http.StatusOK, &doc, "GET", "/openapi.json", nil)
	require.Equal(t, "3.1.0", doc.OpenAPI)
	var all []string
	for path, methods := range doc.Paths {
		for method := range methods {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	require.Equal(t, []string{
		"delete /{tenantSlug}/entries/{id}",
		"get /health",
		"get /{tenantSlug}/accounts",
		"get /{tenantSlug}/entries",
		"get /{tenantSlug}/entries/{id}",
		"get /{tenantSlug}/periods",
		"get /{tenantSlug}/reports/balance-sheet",
		"get /{tenantSlug}/reports/ledger",
		"get /{tenantSlug}/reports/profit-and-loss",
		"get /{tenantSlug}/reports/trial-balance",
		"get /{tenantSlug}/taxes",
		"post /auth/login",
		"post /{tenantSlug}/accounts",
		"post /{tenantSlug}/entries",
		"post /{tenantSlug}/entries/{id}/post",
		"post /{tenantSlug}/entries/{id}/reverse",
		"post /{tenantSlug}/periods",
		"post /{tenantSlug}/periods/{id}/close",
		"post /{tenantSlug}/periods/{id}/open",
	}, all)
}
