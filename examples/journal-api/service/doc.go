// Package service is the HTTP side of the journal API: JSON for programs and plain
// pages for people, at the same addresses.
//
// A request goes through these stations, each in a file of its own:
//
//  1. headers.go: security headers; a form that another site sends is refused
//  2. wall.go: who is it (session token), and may they go to this company?
//  3. the tenancy package's middleware: the company's own database, through Dermaga
//  4. service.go: JSON (api.go, api_*.go) or a page (pages.go, page_*.go)
//  5. books.go: what the user may do there, by the company's own table of users
//
// The order of 2 and 3 matters: nobody can make the broker open a pool without a
// token for that company. problem.go turns every error into an answer.
//
// The package starts no goroutines but those of net/http.
package service
