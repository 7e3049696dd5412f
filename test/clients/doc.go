// Package clients holds tests that run what users run: psql, pgbench, pg_dump
// and pg_restore, pgx, node-postgres, psycopg and Prisma, unchanged, through a
// broker that `dermaga dev` started, in two tenants at once, over plain TCP and
// over TLS.
//
// The order to read the files in:
//
//	main_test.go      one `dermaga dev` for all tests, and its second tenant
//	way_test.go       tenant and transport: each test goes every way
//	program_test.go   running a program, or saying what to install
//	install_test.go   npm's and pip's packages, pinned, kept between runs
//	psql_test.go      … and one file per client
//
// Most tests run the same program twice, through the broker and directly on the
// tenant's database, and want the same answer.
//
// A program that is not installed skips its tests, except where CI=true is set:
// there it fails them.
package clients
