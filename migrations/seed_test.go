package migrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
)

func TestSeedIsWhole(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	for sql, want := range map[string]int{
		"SELECT count(*) FROM accounts":                                                    91,
		"SELECT count(*) FROM accounts WHERE is_postable":                                  78,
		"SELECT count(*) FROM accounts WHERE parent_id IS NULL AND code LIKE '_-0000'":     9,
		"SELECT count(*) FROM accounts WHERE parent_id IS NULL AND code NOT LIKE '_-0000'": 0,
		"SELECT count(*) FROM account_roles":                                               16,
		"SELECT count(*) FROM taxes":                                                       18,
		"SELECT count(*) FROM tax_rates":                                                   21,
		"SELECT count(*) FROM periods WHERE fiscal_year_id = 2026 AND status = 'OPEN'":     12,
		"SELECT count(*) FROM document_numbers WHERE fiscal_year_id = 2026":                5,
		"SELECT ends_on - starts_on FROM periods WHERE name = '2026-02'":                   27,
	} {
		require.Equal(t, want, one[int](t, conn, sql), sql)
	}
}

// What was not looked up in the law says so, row by row (16), and an accountant
// who confirms one takes the mark away and counts here again.
func TestUnverifiedRatesSaySo(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	require.Equal(t, 16, one[int](t, conn, "SELECT count(*) FROM tax_rates WHERE note LIKE 'not verified: %'"))
	require.Equal(t, 6, one[int](t, conn, `SELECT count(*) FROM tax_rates r JOIN taxes t ON t.id = r.tax_id
		WHERE note LIKE 'not verified: %' AND (t.code LIKE 'PPH42-%' OR t.code = 'PPH-BADAN-31E')`), "PPh 4(2) and art. 31E")
	require.Zero(t, one[int](t, conn, `SELECT count(*) FROM tax_rates
		WHERE valid_from < '2024-01-01' AND coalesce(note, '') NOT LIKE 'not verified: %'`), "start dates of old rates")
}

func TestSeedRunTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	exec(t, conn, "UPDATE accounts SET name_id = 'Kas Toko' WHERE code = '1-1100'") // what a company edits stays
	const state = `SELECT md5(string_agg(r, E'\n' ORDER BY r)) FROM (
		SELECT 'a' || (a)::text FROM accounts a UNION ALL SELECT 'r' || (r)::text FROM account_roles r
		UNION ALL SELECT 't' || (t)::text FROM taxes t UNION ALL SELECT 'x' || (x)::text FROM tax_rates x
		UNION ALL SELECT 'y' || (y)::text FROM fiscal_years y UNION ALL SELECT 'p' || (p)::text FROM periods p
		UNION ALL SELECT 'd' || (d)::text FROM document_numbers d) s (r)`
	before := one[string](t, conn, state)
	require.NoError(t, migrations.SeedJournal(t.Context(), conn, 2026))
	require.Equal(t, before, one[string](t, conn, state))

	require.NoError(t, migrations.SeedJournal(t.Context(), conn, 2027))
	require.Equal(t, 24, one[int](t, conn, "SELECT count(*) FROM periods"))
}

func TestTaxRateByDate(t *testing.T) {
	t.Parallel()
	conn := seeded(t)
	const tax = `SELECT round(1000000 * rate * base_numerator / base_denominator)::bigint
		FROM tax_rates r JOIN taxes t ON t.id = r.tax_id
		WHERE t.code = $1 AND $2::text::date BETWEEN valid_from AND coalesce(valid_to, 'infinity')`
	for _, c := range []struct {
		code, date string
		want       int64
	}{
		{"PPN-K", "2022-03-31", 100_000},
		{"PPN-K", "2022-04-01", 110_000},
		{"PPN-K", "2024-12-31", 110_000},
		{"PPN-K", "2025-01-01", 110_000},
		{"PPN-K", "2026-07-01", 110_000},
		{"PPN-K-MEWAH", "2025-01-15", 110_000},
		{"PPN-K-MEWAH", "2026-07-01", 120_000},
		{"PPN-K-EKSPOR", "2026-07-01", 0},
		{"PPH23-JASA", "2026-07-01", 20_000},
		{"PPH-UMKM", "2026-07-01", 5_000},
		{"PPH42-KONS-K", "2026-07-01", 17_500},
		{"PPH-BADAN-31E", "2026-07-01", 110_000},
	} {
		require.Equal(t, c.want, one[int64](t, conn, tax, c.code, c.date), "%s on %s", c.code, c.date)
	}
	_, err := conn.Exec(t.Context(), `INSERT INTO tax_rates (tax_id, valid_from, rate)
		SELECT id, '2026-01-01', 0.13 FROM taxes WHERE code = 'PPN-K'`)
	require.Error(t, err, "two rates on one day")
}

func TestSeedIsAllOrNothing(t *testing.T) {
	t.Parallel()
	conn := journal(t)
	exec(t, conn, "ALTER TABLE document_numbers ADD CHECK (prefix <> 'BILL')")
	require.Error(t, migrations.SeedJournal(t.Context(), conn, 2026))
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM accounts"))
}

func TestSeedRefusesAnImpossibleYear(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Database(t))
	require.ErrorContains(t, migrations.SeedJournal(t.Context(), conn, 26), "1990 to 2200")
}
