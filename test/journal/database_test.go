package journal_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// found is how many rows of a database have a marker, by marker, and how often the
// marker of its company is in a row of entries and lines.
type found struct {
	own, foreign   int
	entries, lines int // rows without the company's own marker
}

// searchDatabase looks directly, as a superuser, at every column of every table.
func searchDatabase(ctx context.Context, c *company) (f found, err error) {
	cfg, err := pgx.ParseConfig(world.Info.ServerURL)
	if err != nil {
		return f, err
	}
	cfg.Database = "nusa_journal_" + strings.ReplaceAll(c.slug, "-", "_")
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return f, err
	}
	defer conn.Close(ctx)

	rows, _ := conn.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return f, err
	}
	for _, table := range tables {
		rows, _ := conn.Query(ctx, `SELECT m[1] FROM `+table+` t, regexp_matches(t::text, $1, 'g') m`, markers.String())
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return f, fmt.Errorf("search %s of %s: %w", table, c.slug, err)
		}
		for _, m := range all {
			if m == c.marker {
				f.own++
			} else {
				f.foreign++
			}
		}
	}
	err = conn.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM journal_entries WHERE description NOT LIKE $1 || '%'),
		(SELECT count(*) FROM journal_lines WHERE coalesce(memo, '') NOT LIKE $1 || '%')`, c.marker).Scan(&f.entries, &f.lines)
	return f, err
}
