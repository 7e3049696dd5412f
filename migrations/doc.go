// Package migrations holds the schema files of the registry and of tenants'
// databases, and runs them.
//
// golang-migrate gives the file format and the engine; underneath is a database
// driver of our own (driver.go), since the stock one calls a cleanly rolled back
// file "dirty", waits for its lock without limit and sends three times as many
// statements. Each file runs in one transaction together with its entry in
// schema_migrations: a file that fails leaves nothing behind, and the next run
// simply starts with it again. The table is golang-migrate's, so its own command
// line tool agrees about the version.
//
// A Set is what one database gets: Journal for a tenant, seeded by SeedJournal;
// the registry's own is behind Registry. Read set.go, runner.go, driver.go.
//
// No goroutine outlives a call. A *pgx.Conn that is handed in belongs to the
// call until it returns.
package migrations
