package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const (
	companies   = 20
	entriesEach = 25
	readsEach   = 2 * 2 * 8 // every address twice as a program and twice as a browser
)

var (
	year      = strconv.Itoa(time.Now().In(time.FixedZone("WIB", 7*60*60)).Year()) // that dev seeds
	wholeYear = "?from=" + year + "-01-01&to=" + year + "-12-31"
)

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Minute, errors.New("the test takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// work lets a client write and read, two of each at once.
func work(ctx context.Context, c *client) error {
	var all errgroup.Group
	for half := range 2 {
		all.Go(func() error {
			for n := half; n < entriesEach; n += 2 {
				if err := c.write(ctx, n); err != nil {
					return err
				}
			}
			return nil
		})
		all.Go(func() error {
			for n := half; n < readsEach; n += 2 {
				if err := c.read(ctx, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

func TestTwentyCompaniesAtOnceNeverSeeEachOther(t *testing.T) {
	ctx := bounded(t)
	tn := settle(ctx, t, companies)
	base := tn.serve(ctx, t, world.brokerURL)
	clients := make([]*client, companies)
	var all errgroup.Group
	for i, c := range tn.companies {
		all.Go(func() (err error) {
			if clients[i], err = newClient(ctx, c, base, c.email); err != nil {
				return err
			}
			if err := clients[i].addAccounts(ctx); err != nil {
				return err
			}
			return work(ctx, clients[i])
		})
	}
	require.NoError(t, all.Wait())

	answers := 0
	for i, c := range clients {
		t.Cleanup(c.close)
		requireBooks(ctx, t, c)
		requireClosed(ctx, t, c, tn.companies[(i+1)%companies].slug)
		require.Empty(t, c.foreign, "markers of others in the answers to %s", c.slug)
		require.Greater(t, c.own, readsEach, "it was searched for its own as well")
		answers += c.answers

		in, err := searchDatabase(ctx, c.company)
		require.NoError(t, err)
		require.Zero(t, in.foreign, "markers of others in the database of %s", c.slug)
		require.Greater(t, in.own, 3*c.posted)
		require.Zero(t, in.entries, "entries of %s without its marker", c.slug)
		require.Zero(t, in.lines, "lines of %s without its marker", c.slug)
	}
	t.Logf("%d companies, %d answers and %d databases searched: no foreign marker", companies, answers, companies)
}

// requireBooks compares the company's reports with what was sent.
func requireBooks(ctx context.Context, t *testing.T, c *client) {
	t.Helper()
	var trial struct {
		Balanced bool
		Rows     []struct{ Account, ClosingDebit, ClosingCredit string }
	}
	require.NoError(t, c.into(ctx, http.StatusOK, &trial, "GET", "/"+c.slug+"/reports/trial-balance"+wholeYear, nil))
	require.True(t, trial.Balanced)
	held := map[string]int{}
	for _, r := range trial.Rows {
		held[r.Account] = rupiah(t, r.ClosingDebit) - rupiah(t, r.ClosingCredit)
	}
	require.Equal(t, c.sent, held)

	var sheet struct {
		Balanced bool
		Assets   struct{ Total string }
	}
	require.NoError(t, c.into(ctx, http.StatusOK, &sheet, "GET", "/"+c.slug+"/reports/balance-sheet?date="+year+"-12-31", nil))
	require.True(t, sheet.Balanced)
	require.Equal(t, c.sent[cash], rupiah(t, sheet.Assets.Total))

	var list struct {
		Entries []struct{ Number, Status string }
	}
	require.NoError(t, c.into(ctx, http.StatusOK, &list, "GET", "/"+c.slug+"/entries?limit=500", nil))
	require.Len(t, list.Entries, c.posted)
	numbers := map[string]int{}
	for _, e := range list.Entries {
		require.NotEqual(t, "DRAFT", e.Status)
		kind, _, _ := strings.Cut(e.Number, "/")
		numbers[kind]++
	}
	for _, e := range list.Entries { // so many numbers, none above their count: there is no gap
		kind, rest, _ := strings.Cut(e.Number, "/")
		_, n, _ := strings.Cut(rest, "/")
		number, err := strconv.Atoi(n)
		require.NoError(t, err)
		require.LessOrEqual(t, number, numbers[kind], e.Number)
	}
}

// requireClosed says that a company's token opens no other.
func requireClosed(ctx context.Context, t *testing.T, c *client, other string) {
	t.Helper()
	for _, path := range reads {
		require.NoError(t, c.into(ctx, http.StatusForbidden, nil, "GET", "/"+other+path, nil))
	}
}

func rupiah(t *testing.T, amount string) int {
	t.Helper()
	whole, sen, _ := strings.Cut(amount, ".")
	require.Equal(t, "00", sen)
	n, err := strconv.Atoi(whole)
	require.NoError(t, err)
	return n
}

// This is the test of the test above.
func TestTwoSwappedTenantsWouldBeNoticed(t *testing.T) {
	ctx := bounded(t)
	tn := settle(ctx, t, 2)
	a, b := tn.companies[0], tn.companies[1]
	require.NoError(t, tn.putUser(ctx, auditor, a.slug+","+b.slug))
	honest := tn.serve(ctx, t, world.brokerURL)
	for _, c := range tn.companies {
		cl, err := newClient(ctx, c, honest, c.email)
		require.NoError(t, err)
		t.Cleanup(cl.close)
		require.NoError(t, cl.addAccounts(ctx))
		require.NoError(t, cl.write(ctx, 0), "there is something to be seen")
	}
	base := tn.serve(ctx, t, swap(t, a.slug, b.slug))

	// The users' own table is a wall of its own: who is not in the wrong company's
	// is not let in.
	stranger, err := newClient(ctx, a, base, a.email)
	require.NoError(t, err)
	t.Cleanup(stranger.close)
	status, text, err := stranger.ask(ctx, "application/json", "GET", "/"+a.slug+"/entries", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status, "%s", text)

	// Who is in both sees the other's rows and writes among them.
	both, err := newClient(ctx, a, base, auditor)
	require.NoError(t, err)
	t.Cleanup(both.close)
	require.NoError(t, both.write(ctx, 0))
	for n := range reads {
		require.NoError(t, both.read(ctx, n))
	}
	require.NotEmpty(t, both.foreign)
	seen, err := json.Marshal(both.foreign)
	require.NoError(t, err)
	t.Logf("seen in the answers: %s", seen)
	for _, path := range reads[:6] { // all that show names or descriptions
		require.NotZero(t, both.foreign[fmt.Sprintf("GET /%s%s", a.slug, path)], path)
	}
	in, err := searchDatabase(ctx, b)
	require.NoError(t, err)
	require.NotZero(t, in.foreign)
	require.Equal(t, 1, in.entries)
	require.Equal(t, 2, in.lines)
}
