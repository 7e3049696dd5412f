package migrations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Registry brings the registry's schema, dermaga, up to date.
func Registry(ctx context.Context, url string) error { panic("soon") }

// RegistryVersion returns the version that the registry has, 0 for none, and
// the one that this binary wants.
func RegistryVersion(ctx context.Context, url string) (have, want uint, err error) { panic("soon") }

// A Set is a list of schema files in the order of their versions. It is
// immutable and safe for concurrent use.
type Set struct{ name string }

// Journal is the schema of a tenant's database.
func Journal() Set { return Set{name: "journal"} }

// Name is what the set is called in tenant_migrations.
func (s Set) Name() string { return s.name }

// Latest returns the version of the newest file.
func (s Set) Latest() uint64 { panic("soon") }

// Applied is what became of one file.
type Applied struct {
	Version  uint64
	Name     string
	SHA256   [32]byte
	Duration time.Duration
	Err      error
}

// Up runs the files that conn's database does not have yet, each in a
// transaction of its own, and calls observe after each, also after the one that
// failed. Whoever calls has done SET ROLE. A lock that somebody else holds for
// longer than two seconds ends in 55P03; nothing is left half done.
func (s Set) Up(ctx context.Context, conn *pgx.Conn, observe func(Applied)) error { panic("soon") }

// SeedJournal fills a new tenant's database: chart of accounts, taxes, and the
// twelve periods of its first accounting year. Running it again changes nothing.
func SeedJournal(ctx context.Context, conn *pgx.Conn, year int) error { panic("soon") }
