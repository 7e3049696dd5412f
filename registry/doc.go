// Package registry keeps who the tenants are and where they live, in the schema
// dermaga of a PostgreSQL database (migrations/registry).
//
// Two sides use it. The broker asks Lookup: who is this login at this slug, and
// where does it go? The admin side changes rows: CreateTenant, SetStatus,
// SetLimits, CreateLogin … Every change is announced by a trigger with NOTIFY in
// its own transaction, so that each instance drops what it remembered within a
// second; OnChange passes it on, Acknowledge says that it has had its effect, and
// WaitSeen waits until that is so everywhere. The instances also divide the
// servers' connections among them: Shares.
//
// A look-up takes this way: lookup.go (the question, one query, the route) ←
// cache.go (remembered answers, when they may be used, what stands in while the
// registry is down) ← changes.go (what keeps the cache true) ← listener.go (the
// channel, and the rounds of the one goroutine that owns it). Read them in this
// order; then instance.go, acknowledge.go and share.go for what instances want of
// each other; then seal.go and keys.go, for passwords lie here only as sealed
// values; then one file per noun: tenant, status, limits, deletion, plan, server,
// credential, login, rotate, grant, activity, migration, token, once.
//
// A Registry is safe for concurrent use. It owns the listener, now and then one
// goroutine that trims, one per question under way, and those of its pool; Close
// waits for them. The two of the caches' expiry cannot be ended and stay until
// the process does.
package registry
