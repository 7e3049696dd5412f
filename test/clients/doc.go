// Package clients holds tests that run what users run: psql, pgbench, pg_dump
// and pg_restore, pgx, node-postgres, postgres.js, psycopg, SQLAlchemy, Prisma
// and JDBC, unchanged, through a broker that `dermaga dev` started, in two tenants
// at once, over plain TCP and over TLS.
//
// The order to read the files in:
//
//	main_test.go      one `dermaga dev` for all tests, and its second tenant
//	way_test.go       tenant and transport: each test goes every way
//	program_test.go   running a program, or saying what to install
//	install_test.go   npm's and pip's packages, pinned, kept between runs
//	java_test.go      a JDK and Maven's jars
//	psql_test.go      … and one file per client
//	connect_test.go   the programs that docs/connecting.md shows
//	table_test.go     what came of those, as docs/compatibility.md tells it
//	versions_test.go  … with the versions that were installed
//	document_test.go  the regions of documents that the tests write with -update
//
// Most tests run the same program twice, through the broker and directly on the
// tenant's database, and want the same answer.
//
// A program that is not installed skips its tests, except where CI=true is set:
// there it fails them.
package clients
