// Package journal holds the end-to-end test of examples/journal-api, and with it
// of the tenancy package and the broker below: twenty companies at once, in which
// a bug that mixes tenants would show.
//
// Each company has a marker, a random word that stands in every row that is
// written for it, and amounts that no other company has. Every answer is searched
// for markers of others, and at the end every database is, with all its tables.
// A second test mixes two tenants up on purpose, to see that this is noticed.
//
// The order to read the files in:
//
//	main_test.go     one `dermaga dev` for all tests, and the API's login there
//	town_test.go     companies with users, and the journal API for them
//	company_test.go  a company's client: what it writes, reads, and has seen
//	database_test.go what the databases hold in the end
//	swap_test.go     a proxy that takes one tenant for another
//	journal_test.go  the tests
//	readme_test.go   the commands of the example's README
package journal
