package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// A Period is a month of an accounting year. Entries are posted into open ones.
type Period struct {
	ID       int64  `json:"id" db:"id"`
	Year     int    `json:"year" db:"year" doc:"the accounting year"`
	Name     string `json:"name" db:"name" example:"2026-03"`
	StartsOn Date   `json:"startsOn" db:"starts_on" format:"date"`
	EndsOn   Date   `json:"endsOn" db:"ends_on" format:"date"`
	Status   string `json:"status" db:"status" enum:"OPEN,CLOSED,LOCKED"`
	Drafts   int    `json:"drafts" db:"drafts" doc:"entries in it that are not posted yet"`
}

// Periods returns them all, the latest first.
func (b *Books) Periods(ctx context.Context) ([]Period, error) {
	const list = `SELECT p.id, p.fiscal_year_id AS year, p.name, p.starts_on, p.ends_on, p.status,
		  (SELECT count(*) FROM journal_entries e WHERE e.period_id = p.id AND e.status = 'DRAFT')::int AS drafts
		FROM periods p ORDER BY p.starts_on DESC`
	rows, _ := b.pool.Query(ctx, list) // its error comes out of the rows
	return pgx.CollectRows(rows, pgx.RowToStructByName[Period])
}

// OpenYear adds the accounting year of a calendar year, its twelve months, all
// open, and its document numbers, which begin at one.
func (b *Books) OpenYear(ctx context.Context, year int) error {
	if year < 1990 || year > 2200 { // what fiscal_years takes
		return refuse("accounting year %d is not between 1990 and 2200", year)
	}
	const (
		addYear    = `INSERT INTO fiscal_years (id, starts_on, ends_on) VALUES ($1, make_date($1, 1, 1), make_date($1, 12, 31)) ON CONFLICT DO NOTHING`
		addPeriods = `INSERT INTO periods (fiscal_year_id, name, starts_on, ends_on)
			SELECT $1, to_char(m, 'YYYY-MM'), m::date, (m + interval '1 month - 1 day')::date
			FROM generate_series(make_date($1, 1, 1)::timestamp, make_date($1, 12, 1)::timestamp, interval '1 month') m`
	)
	return b.change(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, addYear, year)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return conflict("accounting year %d exists already", year)
		}
		if _, err := tx.Exec(ctx, addPeriods, year); err != nil {
			return err
		}
		return b.note(ctx, tx, "OPEN", "fiscal_year", year)
	})
}

// ClosePeriod lets nothing more be posted into a period. It waits for postings
// that are under way: each holds a share lock on its period.
func (b *Books) ClosePeriod(ctx context.Context, id int64) (Period, error) {
	return b.setPeriod(ctx, id, "OPEN", "CLOSED")
}

// ReopenPeriod undoes ClosePeriod. A locked period stays locked.
func (b *Books) ReopenPeriod(ctx context.Context, id int64) (Period, error) {
	return b.setPeriod(ctx, id, "CLOSED", "OPEN")
}

func (b *Books) setPeriod(ctx context.Context, id int64, from, to string) (Period, error) {
	const (
		lock = `SELECT id, fiscal_year_id, name, starts_on, ends_on, status,
			  (SELECT count(*) FROM journal_entries e WHERE e.period_id = periods.id AND e.status = 'DRAFT')::int
			FROM periods WHERE id = $1 FOR UPDATE`
		set = `UPDATE periods SET status = $2, closed_at = CASE WHEN $2 = 'CLOSED' THEN now() END WHERE id = $1`
	)
	var p Period
	err := b.change(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, lock, id) // its error comes out of the rows
		var err error
		p, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Period])
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("period %d", id)
		}
		if err != nil {
			return err
		}
		if p.Status != from {
			return conflict("period %s is %s", p.Name, p.Status)
		}
		if _, err := tx.Exec(ctx, set, id, to); err != nil {
			return err
		}
		p.Status = to
		return b.note(ctx, tx, to, "period", p.Name)
	})
	return p, err
}
