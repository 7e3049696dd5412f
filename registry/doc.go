// Package registry keeps who the tenants are and where they live, in the schema
// dermaga of a PostgreSQL database (migrations/registry).
//
// Two sides use it. The broker asks Lookup: who is this login at this slug, and
// where does it go? The admin side changes rows: CreateTenant, SetStatus,
// PutCredential, PutLogin … Every change is announced by a trigger with NOTIFY
// in its own transaction, so that each instance drops what it remembered within
// a second; OnChange passes it on.
//
// A look-up takes this way: lookup.go (the question, one query, the route) ←
// cache.go (remembered answers, when they may be used, what stands in while the
// registry is down) ← changes.go (the channel that keeps the cache true). Read
// them in this order; then seal.go and keys.go, for passwords lie here only as
// sealed values; then one file per noun: tenant, status, plan, server,
// credential, login, activity, migration, token, instance.
//
// A Registry is safe for concurrent use. It owns one goroutine that listens,
// one per question under way, and those of its pool; Close waits for them. The
// two of the caches' expiry cannot be ended and stay until the process does.
package registry
