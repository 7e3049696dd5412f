package journal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

const (
	password = "correct horse battery staple"
	auditor  = "auditor@example.com" // is a user of two companies
)

// markers have a form of their own, so that one search finds all of them, those of
// nobody we know included.
var markers = regexp.MustCompile(`mark-[0-9a-f]{12}`)

// A company is a tenant and what the test knows of it. Its amounts are multiples
// of 1000 rupiah plus its number, so that a sum shows whose it is.
type company struct {
	number int
	slug   string
	email  string
	marker string
}

func newCompany(i int) *company {
	word := make([]byte, 6)
	_, _ = rand.Read(word) // never fails: crypto/rand
	slug := fmt.Sprintf("pt-%02d", i)
	return &company{i, slug, slug + "@example.com", "mark-" + hex.EncodeToString(word)}
}

// amount is the company's nth, in rupiah.
func (c *company) amount(n int) int { return 1000*(n+1) + c.number }

// A client is a program that works in one company. Safe for concurrent use.
type client struct {
	*company
	base  string
	token string
	http  *http.Client

	mu      sync.Mutex
	answers int            // seen
	own     int            // its own markers in them
	foreign map[string]int // those of others, by what was asked
	sent    map[string]int // rupiah that were posted to an account: debits less credits
	posted  int            // entries
}

// newClient logs in.
func newClient(ctx context.Context, c *company, base, email string) (*client, error) {
	cl := &client{
		company: c, base: base, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
		foreign: map[string]int{}, sent: map[string]int{},
	}
	var in struct{ Token string }
	err := cl.into(ctx, http.StatusOK, &in, "POST", "/auth/login", map[string]string{"email": email, "password": password})
	cl.token = in.Token
	return cl, err
}

func (c *client) close() { c.http.CloseIdleConnections() }

// ask sends a request and searches the answer, whatever it is.
func (c *client) ask(ctx context.Context, accept, method, path string, body any) (int, []byte, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	c.search(method+" "+path, out)
	return resp.StatusCode, out, nil
}

func (c *client) search(asked string, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers++
	for _, m := range markers.FindAll(answer, -1) {
		if string(m) == c.marker {
			c.own++
		} else {
			c.foreign[asked]++
		}
	}
}

// into is ask for an answer in JSON with that status.
func (c *client) into(ctx context.Context, status int, out any, method, path string, body any) error {
	got, text, err := c.ask(ctx, "application/json", method, path, body)
	if err != nil {
		return err
	}
	if got != status {
		return fmt.Errorf("%s %s: %d, not %d: %s", method, path, got, status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

type line struct {
	Account string `json:"account"`
	Debit   string `json:"debit,omitempty"`
	Credit  string `json:"credit,omitempty"`
	Memo    string `json:"memo"`
	Tax     string `json:"tax,omitempty"`
}

type draft struct {
	Date        string `json:"date"`
	Description string `json:"description"`
	Lines       []line `json:"lines"`
	Post        bool   `json:"post,omitempty"`
	Document    string `json:"document,omitempty"`
}

// Accounts that each company adds, with its marker as their name: so it is in every
// report.
const (
	cash  = "1-1112"
	sales = "4-1012"
)

func (c *client) addAccounts(ctx context.Context) error {
	for _, code := range []string{cash, sales} {
		err := c.into(ctx, http.StatusCreated, nil, "POST", "/"+c.slug+"/accounts", map[string]string{"code": code, "nameId": c.marker})
		if err != nil {
			return err
		}
	}
	return nil
}

// entry is a sale of a whole amount, in a month of its own.
func (c *client) entry(n int) draft {
	rupiah := fmt.Sprintf("%d.00", c.amount(n))
	return draft{
		Date:        fmt.Sprintf("%s-%02d-15", year, n%12+1),
		Description: fmt.Sprintf("%s sale %d", c.marker, n),
		Lines: []line{
			{Account: cash, Debit: rupiah, Memo: c.marker + " in"},
			{Account: sales, Credit: rupiah, Memo: c.marker + " out"},
		},
	}
}

// write does what writers do with the nth entry: mostly they post it, at once or
// in a second step, and some are reversed, refused, or discarded.
func (c *client) write(ctx context.Context, n int) error {
	entries := "/" + c.slug + "/entries"
	var e struct {
		ID    int64
		Debit string
	}
	d := c.entry(n)
	switch n % 5 {
	case 0, 1: // posted at once
		d.Post, d.Document = true, "INV"
		if err := c.into(ctx, http.StatusCreated, &e, "POST", entries, d); err != nil {
			return err
		}
		c.count(n, 1)
	case 2: // drafted, then posted, then reversed
		if err := c.into(ctx, http.StatusCreated, &e, "POST", entries, d); err != nil {
			return err
		}
		one := fmt.Sprintf("%s/%d", entries, e.ID)
		if err := c.into(ctx, http.StatusOK, nil, "POST", one+"/post", nil); err != nil {
			return err
		}
		reverse := map[string]string{"date": d.Date, "description": c.marker + " back"}
		if err := c.into(ctx, http.StatusCreated, nil, "POST", one+"/reverse", reverse); err != nil {
			return err
		}
		c.count(n, 0)
	case 3: // refused by the database
		d.Post, d.Lines[0].Debit = true, "0.01"
		if err := c.into(ctx, http.StatusUnprocessableEntity, nil, "POST", entries, d); err != nil {
			return err
		}
		return nil
	case 4: // discarded
		if err := c.into(ctx, http.StatusCreated, &e, "POST", entries, d); err != nil {
			return err
		}
		return c.into(ctx, http.StatusOK, nil, "DELETE", fmt.Sprintf("%s/%d", entries, e.ID), nil)
	}
	if want := fmt.Sprintf("%d.00", c.amount(n)); e.Debit != want {
		return fmt.Errorf("entry %d of %s has %s, not %s", e.ID, c.slug, e.Debit, want)
	}
	return nil
}

// count notes an entry that was posted and counts this many times: 0 if it was
// reversed, which is two entries.
func (c *client) count(n, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posted += 2 - times
	c.sent[cash] += times * c.amount(n)
	c.sent[sales] -= times * c.amount(n)
}

// reads are the addresses that readers look at, one after the other.
var reads = []string{
	"/entries", "/reports/trial-balance" + wholeYear, "/reports/ledger" + wholeYear + "&account=" + cash,
	"/reports/profit-and-loss" + wholeYear, "/reports/balance-sheet?date=" + year + "-12-31", "/accounts", "/periods", "/taxes",
}

// read looks at the nth address, as a program or as a browser.
func (c *client) read(ctx context.Context, n int) error {
	path := "/" + c.slug + reads[n%len(reads)]
	accept := "application/json"
	if n/len(reads)%2 == 1 {
		accept = "text/html"
	}
	status, text, err := c.ask(ctx, accept, "GET", path, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: %d: %s", path, status, text)
	}
	if accept == "text/html" && !strings.Contains(string(text), c.slug) {
		return fmt.Errorf("GET %s: the page is not of %s", path, c.slug)
	}
	return nil
}
