package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

func TestAnEntryIsDraftedThenPostedAndThenNeverChanges(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	e, err := b.Add(t.Context(), entry("2026-03-31", "1-1100", "3-1000", "5000000.50"))
	require.NoError(t, err)
	require.Equal(t, "DRAFT", e.Status)
	require.Empty(t, e.Number)
	require.Equal(t, "2026-03", e.Period)
	require.Equal(t, "siti@example.com", e.CreatedBy)
	require.Equal(t, amount("5000000.50"), e.Debit)

	e, err = b.Post(t.Context(), e.ID, "BKM")
	require.NoError(t, err)
	require.Equal(t, "POSTED", e.Status)
	require.Equal(t, "BKM/2026/000001", e.Number)
	require.NotNil(t, e.PostedAt)

	_, err = b.Post(t.Context(), e.ID, "")
	refused(t, err, "is POSTED already, as BKM/2026/000001")
	refusedByDatabase(t, b.Discard(t.Context(), e.ID), pgerrcode.IntegrityConstraintViolation, "post a reversal")

	draft, err := b.Add(t.Context(), entry("2026-03-31", "1-1100", "3-1000", "1"))
	require.NoError(t, err)
	require.NoError(t, b.Discard(t.Context(), draft.ID))
	_, err = b.Entry(t.Context(), draft.ID)
	require.ErrorIs(t, err, ledger.ErrNotFound)

	list, err := b.Entries(t.Context(), ledger.EntryFilter{Status: "POSTED", From: day("2026-03-01"), To: day("2026-03-31")})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestTheDatabaseRefusesAnUnbalancedEntryAtCommitAndItsNumberIsGivenAgain(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	post(t, b, entry("2026-01-05", "1-1100", "3-1000", "100"))

	d := entry("2026-01-06", "1-1100", "3-1000", "100")
	d.Lines[1].Credit--
	_, err := b.AddPosted(t.Context(), d, "")
	refusedByDatabase(t, err, pgerrcode.CheckViolation, "is not balanced: debit 100.00, credit 99.99, 2 lines")

	unbalanced, err := b.Add(t.Context(), d)
	require.NoError(t, err, "a draft need not balance")
	_, err = b.Post(t.Context(), unbalanced.ID, "")
	refusedByDatabase(t, err, pgerrcode.CheckViolation, "is not balanced")

	require.Equal(t, "JU/2026/000002", post(t, b, entry("2026-01-07", "1-1100", "3-1000", "100")).Number)
}

func TestAReversalIsTheOppositeAndHappensOnce(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	sale := post(t, b, ledger.Draft{Date: day("2026-02-10"), Description: "sale", Lines: []ledger.DraftLine{
		{Account: "1-1300", Debit: amount("1110000")},
		{Account: "4-1000", Credit: amount("1000000"), Tax: "PPN-K"},
	}})
	february := period(t, b, "2026-02")
	_, err := b.ClosePeriod(t.Context(), february.ID)
	require.NoError(t, err)

	_, err = b.Reverse(t.Context(), sale.ID, day("2026-02-09"), "")
	refused(t, err, "cannot be earlier")
	_, err = b.Reverse(t.Context(), sale.ID, day("2026-02-28"), "")
	refusedByDatabase(t, err, pgerrcode.CheckViolation, "period 2026-02 is CLOSED")

	back, err := b.Reverse(t.Context(), sale.ID, day("2026-03-01"), "")
	require.NoError(t, err, "the entry of a closed period is reversed in an open one")
	require.Equal(t, "POSTED", back.Status)
	require.Equal(t, "Pembalikan "+sale.Number, back.Description)
	require.Equal(t, sale.ID, *back.Reverses)
	require.Len(t, back.Lines, 3)
	for i, l := range back.Lines {
		require.Equal(t, sale.Lines[i].Account, l.Account)
		require.Equal(t, sale.Lines[i].Debit, l.Credit)
		require.Equal(t, sale.Lines[i].Credit, l.Debit)
	}
	require.Equal(t, -*sale.Lines[2].TaxBase, *back.Lines[2].TaxBase)

	was, err := b.Entry(t.Context(), sale.ID)
	require.NoError(t, err)
	require.Equal(t, "REVERSED", was.Status)
	require.Equal(t, back.ID, *was.ReversedBy)

	_, err = b.Reverse(t.Context(), sale.ID, day("2026-03-02"), "")
	refused(t, err, "only a posted entry is reversed")
	_, err = b.Reverse(t.Context(), back.ID, day("2026-03-02"), "")
	refused(t, err, "is itself a reversal")

	trial, err := b.TrialBalance(t.Context(), day("2026-01-01"), day("2026-12-31"))
	require.NoError(t, err)
	require.True(t, trial.Balanced)
	require.Zero(t, trial.Total.ClosingDebit)
	require.Equal(t, amount("2220000"), trial.Total.Debit)
}

func TestNothingIsPostedIntoAClosedPeriod(t *testing.T) {
	t.Parallel()
	b, pool := open(t)
	draft, err := b.Add(t.Context(), entry("2026-05-05", "1-1100", "3-1000", "100"))
	require.NoError(t, err)
	may := period(t, b, "2026-05")
	require.Equal(t, 1, may.Drafts)

	closed, err := b.ClosePeriod(t.Context(), may.ID)
	require.NoError(t, err)
	require.Equal(t, "CLOSED", closed.Status)
	_, err = b.ClosePeriod(t.Context(), may.ID)
	refused(t, err, "period 2026-05 is CLOSED")
	_, err = b.Post(t.Context(), draft.ID, "")
	refusedByDatabase(t, err, pgerrcode.CheckViolation, "period 2026-05 is CLOSED")

	_, err = b.ReopenPeriod(t.Context(), may.ID)
	require.NoError(t, err)
	posted, err := b.Post(t.Context(), draft.ID, "")
	require.NoError(t, err)
	require.Equal(t, "JU/2026/000001", posted.Number)

	_, err = pool.Exec(t.Context(), "UPDATE periods SET status = 'LOCKED' WHERE id = $1", may.ID)
	require.NoError(t, err)
	_, err = b.ReopenPeriod(t.Context(), may.ID)
	refused(t, err, "period 2026-05 is LOCKED")

	_, err = b.Add(t.Context(), entry("2027-01-01", "1-1100", "3-1000", "100"))
	refused(t, err, "open the year 2027 first")
}

func TestFiftyPostingsAtOnceLeaveNoGapInTheNumbers(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	const postings, refusals = 50, 20
	var good, bad []int64
	for i := range postings + refusals {
		d := entry("2026-06-15", "1-1100", "3-1000", "100")
		if i%7 < 2 && len(bad) < refusals {
			d.Lines[0].Debit++
		}
		e, err := b.Add(t.Context(), d)
		require.NoError(t, err)
		if e.Debit != e.Credit {
			bad = append(bad, e.ID)
		} else {
			good = append(good, e.ID)
		}
	}
	require.Len(t, bad, refusals)

	var all errgroup.Group
	numbers := make([]string, len(good))
	for i, id := range good {
		all.Go(func() error {
			e, err := b.Post(t.Context(), id, "INV")
			numbers[i] = e.Number
			return err
		})
	}
	for _, id := range bad {
		all.Go(func() error {
			if _, err := b.Post(t.Context(), id, "INV"); err == nil {
				return fmt.Errorf("entry %d is not balanced and was posted", id)
			}
			return nil
		})
	}
	require.NoError(t, all.Wait())
	slices.Sort(numbers)
	for i, n := range numbers {
		require.Equal(t, fmt.Sprintf("INV/2026/%06d", i+1), n)
	}
}

// A sequence keeps count across the transactions that are undone.
func TestATransactionThatLosesToOthersIsTriedAgainButNotForEver(t *testing.T) {
	t.Parallel()
	for code, tries := range map[string]int{pgerrcode.SerializationFailure: 3, pgerrcode.DeadlockDetected: 5, pgerrcode.LockNotAvailable: 2} {
		b, pool := open(t)
		_, err := pool.Exec(t.Context(), fmt.Sprintf(`CREATE SEQUENCE tries;
			CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			  IF nextval('tries') < %d THEN RAISE EXCEPTION 'lost' USING ERRCODE = '%s'; END IF;
			  RETURN NEW;
			END $$;
			CREATE TRIGGER lose BEFORE INSERT ON journal_lines FOR EACH STATEMENT EXECUTE FUNCTION lose()`, tries, code))
		require.NoError(t, err)
		_, err = b.AddPosted(t.Context(), entry("2026-01-05", "1-1100", "3-1000", "100"), "")
		if code == pgerrcode.LockNotAvailable {
			refusedByDatabase(t, err, code, "lost")
			continue
		}
		require.NoError(t, err)
		all, err := b.Entries(t.Context(), ledger.EntryFilter{})
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, "JU/2026/000001", all[0].Number)
	}

	b, pool := open(t)
	_, err := pool.Exec(t.Context(), `CREATE SEQUENCE tries;
		CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		  RAISE EXCEPTION 'lost the %th time', nextval('tries') USING ERRCODE = '40001';
		END $$;
		CREATE TRIGGER lose BEFORE INSERT ON journal_lines FOR EACH STATEMENT EXECUTE FUNCTION lose()`)
	require.NoError(t, err)
	_, err = b.AddPosted(t.Context(), entry("2026-01-05", "1-1100", "3-1000", "100"), "")
	refusedByDatabase(t, err, pgerrcode.SerializationFailure, "lost the 5th time")
}

func TestWhatAnEntryMayNotBeIsSaidBeforeTheDatabaseIsAsked(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	for text, spoil := range map[string]func(*ledger.Draft){
		"needs a date":                      func(d *ledger.Draft) { d.Date = ledger.Date{} },
		"needs a description":               func(d *ledger.Draft) { d.Description = " " },
		"needs lines":                       func(d *ledger.Draft) { d.Lines = nil },
		"line 1 has either a debit or":      func(d *ledger.Draft) { d.Lines[0].Credit = 1 },
		"line 2 has either a debit or":      func(d *ledger.Draft) { d.Lines[1].Credit = 0 },
		"use the other side":                func(d *ledger.Draft) { d.Lines[1].Credit = -1 },
		`there is no account "1-9999"`:      func(d *ledger.Draft) { d.Lines[0].Account = "1-9999" },
		"account 1-0000 is a heading":       func(d *ledger.Draft) { d.Lines[0].Account = "1-0000" },
		"no tax PPN-X with a rate":          func(d *ledger.Draft) { d.Lines[1].Tax = "PPN-X" },
		"tax PPH-UMKM is computed for a wh": func(d *ledger.Draft) { d.Lines[1].Tax = "PPH-UMKM" },
	} {
		d := entry("2026-01-01", "1-1100", "4-1000", "100")
		spoil(&d)
		_, err := b.Add(t.Context(), d)
		refused(t, err, text)
	}
}

func period(t *testing.T, b *ledger.Books, name string) ledger.Period {
	t.Helper()
	all, err := b.Periods(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(p ledger.Period) bool { return p.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return all[i]
}
