package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
)

// ErrAhead: the database has files that this binary does not know.
var ErrAhead = errors.New("database is newer than this binary")

// Applied is what became of one file.
type Applied struct {
	Version  uint64
	Name     string
	SHA256   [32]byte // of the file
	Duration time.Duration
	Err      error // nil: applied; otherwise nothing of the file is left
}

// Up runs the files that conn's database does not have yet, each in a
// transaction of its own, and calls observe, which may be nil, after each: also
// after the one that failed and ended the run. Who must own what the files make
// is decided before, by SET ROLE on conn.
//
// A lock that somebody else holds, on a table or as another run, ends in SQLSTATE
// 55P03 after two seconds. Nothing is left half done, so that Up can simply be
// called again.
func (s Set) Up(ctx context.Context, conn *pgx.Conn, observe func(Applied)) error {
	return s.run(ctx, conn, lockTimeout, func(d *driver, m *migrate.Migrate) error {
		if d.version > int(s.Latest()) {
			return fmt.Errorf("%w: it is at version %d, %d is the newest known", ErrAhead, d.version, s.Latest())
		}
		return s.climb(d, m, observe)
	})
}

// climb runs one file after the other, to the newest.
func (s Set) climb(d *driver, m *migrate.Migrate, observe func(Applied)) error {
	for {
		f, ok := s.next(uint64(max(d.version, 0)))
		if !ok {
			return nil
		}
		start := time.Now()
		err := m.Steps(1)
		if observe != nil {
			observe(Applied{Version: f.version, Name: f.name, SHA256: f.sha256, Duration: time.Since(start), Err: err})
		}
		if err != nil {
			return fmt.Errorf("%s migration %06d_%s: %w", s.name, f.version, f.name, err)
		}
	}
}

// Down takes back every file above a version; 0 takes back all.
func (s Set) Down(ctx context.Context, conn *pgx.Conn, to uint64) error {
	return s.run(ctx, conn, lockTimeout, func(d *driver, m *migrate.Migrate) error {
		for d.version > int(to) {
			from := d.version
			if err := m.Steps(-1); err != nil {
				return fmt.Errorf("%s migration %06d down: %w", s.name, from, err)
			}
		}
		return nil
	})
}

// Version returns the version of conn's database, 0 if it has none of the files.
func (s Set) Version(ctx context.Context, conn *pgx.Conn) (uint64, error) {
	table := pgx.Identifier{s.schema, versionTable}.Sanitize()
	var exists bool
	err := conn.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", table).Scan(&exists)
	if err != nil || !exists {
		return 0, err
	}
	var v int64
	err = conn.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM "+table).Scan(&v)
	return uint64(max(v, 0)), err
}

// versionTable is golang-migrate's name for it.
const versionTable = "schema_migrations"

// run holds the lock around work. golang-migrate is asked for one step at a
// time: given more, it reads ahead in goroutines that never end if a file fails.
func (s Set) run(ctx context.Context, conn *pgx.Conn, wait time.Duration, work func(*driver, *migrate.Migrate) error) (err error) {
	d := &driver{
		ctx: ctx, conn: conn, wait: wait, path: s.searchPath, version: database.NilVersion,
		table: pgx.Identifier{s.schema, versionTable},
	}
	if err := d.lock(); err != nil {
		return fmt.Errorf("migrate %s: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, d.unlock()) }()
	src, err := s.source()
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance(s.name, src, "pgx connection", d)
	if err != nil {
		return err
	}
	return work(d, m)
}
