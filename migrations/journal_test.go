package migrations_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
)

func TestJournalGoesUpAndDownAndUpAgain(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Database(t))
	j := migrations.Journal()
	require.EqualValues(t, 20, j.Latest())

	var versions []uint64
	require.NoError(t, j.Up(t.Context(), conn, func(a migrations.Applied) {
		require.NoError(t, a.Err)
		require.NotEmpty(t, a.Name)
		require.NotZero(t, a.SHA256)
		versions = append(versions, a.Version)
	}))
	require.Len(t, versions, 20)
	require.EqualValues(t, 20, versions[19])
	first := objects(t, conn, "public")

	for to := j.Latest() - 1; to > 0; to-- { // each step alone: none may lean on one below it
		require.NoError(t, j.Down(t.Context(), conn, to))
	}
	require.NoError(t, j.Down(t.Context(), conn, 0))
	require.Equal(t, []string{"relation schema_migrations"}, objects(t, conn, "public"))
	v, err := j.Version(t.Context(), conn)
	require.NoError(t, err)
	require.Zero(t, v)

	require.NoError(t, j.Up(t.Context(), conn, nil))
	require.Equal(t, first, objects(t, conn, "public"))
	require.NoError(t, j.Up(t.Context(), conn, func(migrations.Applied) { require.Fail(t, "nothing was left to do") }))
}

// draft writes an entry with two lines and returns its id.
func draft(t *testing.T, conn *pgx.Conn, number string, debit, credit int) int64 {
	t.Helper()
	id := one[int64](t, conn, `INSERT INTO journal_entries (number, entry_date, period_id, description)
		SELECT $1, '2026-03-15', id, 'sale' FROM periods WHERE name = '2026-03' RETURNING id`, number)
	exec(t, conn, `INSERT INTO journal_lines (entry_id, line_no, account_id, debit, credit)
		SELECT $1::bigint, 1, id, $2::numeric, 0 FROM accounts WHERE code = '1-1100'
		UNION ALL SELECT $1::bigint, 2, id, 0, $3::numeric FROM accounts WHERE code = '4-1000'`, id, debit, credit)
	return id
}

const post = "UPDATE journal_entries SET status = 'POSTED', posted_at = now() WHERE id = $1"

func requireState(t *testing.T, err error, code, text string) {
	t.Helper()
	var pg *pgconn.PgError
	require.True(t, errors.As(err, &pg), "%v", err)
	require.Equal(t, code, pg.Code, pg.Message)
	require.Contains(t, pg.Message, text)
}

func TestUnbalancedEntryIsRefusedAtCommit(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	id := draft(t, conn, "JU-1", 100, 99)

	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), post, id)
	require.NoError(t, err, "not before the commit")
	requireState(t, tx.Commit(t.Context()), pgerrcode.CheckViolation, "is not balanced: debit 100.00, credit 99.00")

	exec(t, conn, "UPDATE journal_lines SET debit = 99 WHERE entry_id = $1 AND line_no = 1", id)
	exec(t, conn, post, id)
}

func TestEntryPostedAtOnceTakesItsLinesInTheSameTransaction(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	const entry = `INSERT INTO journal_entries (number, entry_date, period_id, description, status, posted_at)
		SELECT $1, '2026-03-15', id, 'sale', 'POSTED', now() FROM periods WHERE name = '2026-03' RETURNING id`
	const line = `INSERT INTO journal_lines (entry_id, line_no, account_id, debit, credit)
		SELECT $1, $2, id, $4::numeric, $5::numeric FROM accounts WHERE code = $3`

	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	var id int64
	require.NoError(t, tx.QueryRow(t.Context(), entry, "JU-1").Scan(&id))
	_, err = tx.Exec(t.Context(), line, id, 1, "1-1100", 100, 0)
	require.NoError(t, err)
	inner, err := tx.Begin(t.Context()) // a savepoint belongs to the same transaction
	require.NoError(t, err)
	_, err = inner.Exec(t.Context(), line, id, 2, "4-1000", 0, 100)
	require.NoError(t, err)
	require.NoError(t, inner.Commit(t.Context()))
	require.NoError(t, tx.Commit(t.Context()))

	tx, err = conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), line, id, 3, "1-1100", 50, 0)
	requireState(t, err, pgerrcode.IntegrityConstraintViolation, "takes no more lines")
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestPostedEntryNeedsTwoLines(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	id := draft(t, conn, "JU-1", 1, 1)
	exec(t, conn, "DELETE FROM journal_lines WHERE entry_id = $1", id)
	_, err := conn.Exec(t.Context(), post, id)
	requireState(t, err, pgerrcode.CheckViolation, "0 lines")
}

func TestPostedIsImmutable(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	id, other := draft(t, conn, "JU-1", 100, 100), draft(t, conn, "JU-2", 7, 7)
	exec(t, conn, post, id)

	for _, c := range []struct{ name, sql string }{
		{"text", "UPDATE journal_entries SET description = 'x' WHERE id = $1"},
		{"back to draft", "UPDATE journal_entries SET status = 'DRAFT', posted_at = NULL WHERE id = $1"},
		{"text while reversing", "UPDATE journal_entries SET status = 'REVERSED', description = 'x' WHERE id = $1"},
		{"posting transaction", "UPDATE journal_entries SET status = 'REVERSED', posted_tx = 1 WHERE id = $1"},
		{"delete", "DELETE FROM journal_entries WHERE id = $1"},
		{"line", "UPDATE journal_lines SET debit = 5 WHERE entry_id = $1 AND line_no = 1"},
		{"delete lines", "DELETE FROM journal_lines WHERE entry_id = $1"},
		{"more lines", "INSERT INTO journal_lines SELECT entry_id, line_no + 10, account_id, debit, credit FROM journal_lines WHERE entry_id = $1"},
		{"lines move away", "UPDATE journal_lines SET entry_id = 2, line_no = line_no + 10 WHERE entry_id = $1"},
	} {
		_, err := conn.Exec(t.Context(), c.sql, id)
		require.Error(t, err, c.name)
		requireState(t, err, pgerrcode.IntegrityConstraintViolation, "post a reversal")
	}
	_, err := conn.Exec(t.Context(), "UPDATE journal_lines SET entry_id = $1, line_no = line_no + 10 WHERE entry_id = $2", id, other)
	requireState(t, err, pgerrcode.IntegrityConstraintViolation, "takes no more lines")

	exec(t, conn, "UPDATE journal_entries SET status = 'REVERSED' WHERE id = $1", id)
	exec(t, conn, "DELETE FROM journal_entries WHERE id = $1", other) // a draft may go
}

func TestLineBeingWrittenAndPostingWaitForEachOther(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, second := connect(t, url), connect(t, url)
	require.NoError(t, migrations.Journal().Up(t.Context(), conn, nil))
	require.NoError(t, migrations.SeedJournal(t.Context(), conn, 2026))
	id := draft(t, conn, "JU-1", 100, 100)

	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO journal_lines (entry_id, line_no, account_id, debit)
		SELECT $1, 3, id, 5 FROM accounts WHERE code = '1-1100'`, id)
	require.NoError(t, err)
	exec(t, second, "SET lock_timeout = '100ms'")
	_, err = second.Exec(t.Context(), post, id)
	requireState(t, err, pgerrcode.LockNotAvailable, "")
	require.NoError(t, tx.Commit(t.Context()))
	_, err = second.Exec(t.Context(), post, id)
	requireState(t, err, pgerrcode.CheckViolation, "is not balanced")
}

func TestClosedPeriodTakesNoPosting(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	posted, waiting := draft(t, conn, "JU-1", 1, 1), draft(t, conn, "JU-2", 1, 1)
	exec(t, conn, post, posted)
	exec(t, conn, "UPDATE periods SET status = 'CLOSED', closed_at = now() WHERE name = '2026-03'")
	_, err := conn.Exec(t.Context(), post, waiting)
	requireState(t, err, pgerrcode.CheckViolation, "period 2026-03 is CLOSED")

	exec(t, conn, "UPDATE journal_entries SET status = 'REVERSED' WHERE id = $1", posted) // by an entry of an open period
	_, err = conn.Exec(t.Context(), "UPDATE journal_entries SET entry_date = '2026-04-01' WHERE id = $1", waiting)
	requireState(t, err, pgerrcode.CheckViolation, "outside period 2026-03")
}

func TestPeriodsMustNotOverlap(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	_, err := conn.Exec(t.Context(), "INSERT INTO periods (fiscal_year_id, name, starts_on, ends_on) VALUES (2026, 'extra', '2026-03-31', '2026-04-01')")
	requireState(t, err, pgerrcode.ExclusionViolation, "")
}

func TestTemporaryTableDoesNotFoolTheBalanceCheck(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	id := draft(t, conn, "JU-1", 100, 1)
	exec(t, conn, "CREATE TEMP TABLE journal_lines (entry_id bigint, debit numeric, credit numeric)")
	_, err := conn.Exec(t.Context(), post, id)
	requireState(t, err, pgerrcode.CheckViolation, "is not balanced")
}
