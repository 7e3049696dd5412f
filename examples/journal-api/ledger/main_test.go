package ledger_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// open returns the books of a new company, for its accountant, and the pool below
// them. Its first year is 2026.
func open(t *testing.T) (*ledger.Books, *pgxpool.Pool) {
	t.Helper()
	ctx := context.Background()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	require.NoError(t, migrations.Journal().Up(ctx, conn, nil))
	require.NoError(t, migrations.SeedJournal(ctx, conn, 2026))

	pool, err := pgxpool.New(ctx, url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, ledger.PutUser(ctx, pool, ledger.User{Email: "Siti@example.com", Name: "Siti", Role: ledger.Accountant}))
	siti, err := ledger.FindUser(ctx, pool, "siti@EXAMPLE.com")
	require.NoError(t, err)
	return ledger.Open(pool, siti), pool
}

func day(s string) ledger.Date {
	d, err := ledger.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func amount(s string) ledger.Amount {
	a, err := ledger.ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return a
}

// entry is a draft of two lines of the same amount.
func entry(on, debit, credit, sum string) ledger.Draft {
	return ledger.Draft{Date: day(on), Description: "test", Lines: []ledger.DraftLine{
		{Account: debit, Debit: amount(sum)},
		{Account: credit, Credit: amount(sum)},
	}}
}

func post(t *testing.T, b *ledger.Books, d ledger.Draft) ledger.Entry {
	t.Helper()
	e, err := b.AddPosted(t.Context(), d, "")
	require.NoError(t, err)
	return e
}

// refusedByDatabase says that err is the database's own refusal, with its text.
func refusedByDatabase(t *testing.T, err error, code, text string) {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, code, pg.Code)
	require.Contains(t, pg.Message, text)
}

func refused(t *testing.T, err error, text string) {
	t.Helper()
	var r *ledger.Refusal
	require.ErrorAs(t, err, &r)
	require.Contains(t, r.Text, text)
}
