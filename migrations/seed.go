package migrations

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// The years that fiscal_years accepts.
const (
	firstYear = 1990
	lastYear  = 2200
)

// SeedJournal fills a new tenant's database: chart of accounts, taxes with their
// dated rates, and the twelve periods of its first accounting year. All or
// nothing; running it again changes nothing.
func SeedJournal(ctx context.Context, conn *pgx.Conn, year int) error {
	if year < firstYear || year > lastYear {
		return fmt.Errorf("seed journal: accounting year %d is not within %d to %d", year, firstYear, lastYear)
	}
	text, err := files.ReadFile("seed/journal.sql")
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		const settings = "SELECT pg_catalog.set_config('search_path', 'public', true), pg_catalog.set_config('journal.seed_year', $1, true)"
		if _, err := tx.Exec(ctx, settings, strconv.Itoa(year)); err != nil {
			return err
		}
		_, err := tx.Conn().PgConn().Exec(ctx, string(text)).ReadAll()
		return err
	})
	if err != nil {
		return fmt.Errorf("seed journal: %w", err)
	}
	return nil
}
