// Package tenancy gives a Go service what it needs to serve many companies from
// one process, each with a database of its own behind a Dermaga broker: a client
// manager, which keeps a connection pool to the broker for each slug in use, and a
// middleware for net/http, which finds the slug in a request and puts that tenant
// into its context. A handler asks for it:
//
//	t := tenancy.FromContext(r.Context())
//	rows, err := t.Pool().Query(r.Context(), "select code, name_id from accounts")
//
// The order to read the files in: clients.go (Open, Get, Stats, Close), opening.go
// (a tenant's first connection), pools.go (which pools are open, and which one goes
// first), tenant.go (the handle), middleware.go and source.go (from a request to a
// tenant), problem.go (what the broker says, as HTTP).
//
// Who connects is a service login: one login for every slug that it has been
// granted (dermaga login create NAME --service --grant all). Only to such a login
// does the broker say why it does not let it into a database; a tenant's own login
// is told that its password is wrong, whatever the cause.
//
// Everything is safe for concurrent use. The package has one goroutine for each
// pool that is being opened or closed, and none besides those of pgxpool; Close
// waits for them.
package tenancy
