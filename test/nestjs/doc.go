// Package nestjs runs examples/nestjs-prisma as its users do: npm ci, tsc, node,
// against a `dermaga dev` with two tenants, and asks it over HTTP.
//
//	main_test.go      the dermaga dev, its tenants and logins
//	app_test.go       the application: built once, started per test
//	check_test.go     what is asked of it, as a function that returns an error
//	tenants_test.go   rows, refusals, limits, getStats
//	migrate_test.go   Prisma's migrations by an owner login
//	proof_test.go     the check fails where it must
package nestjs
