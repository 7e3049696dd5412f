// Package provision makes a tenant: from a slug to a database that its login
// reaches through the broker.
//
// In goes a Request, out comes a Result with the login's password, which is
// nowhere else in clear. Between them lies a list of steps (steps.go), in the
// order in which they are told. Each step may run again on what an earlier run
// left, is recorded in the tenant's activities, and knows how to undo what it
// made. When one fails, or the caller gives up, everything is undone from the
// last step back, looked for, and the tenant left SUSPENDED with the reason.
//
//	provision.go  Deps, Request, Result; Tenant and Resume, which run the steps
//	steps.go      the list
//	lease.go      one run for a slug at a time
//	server.go     connections to the tenants' server
//	roles.go      login roles and group roles
//	database.go   the database: made closed, locked down, opened
//	limits.go     what the plan means as settings of PostgreSQL
//	schema.go     grants, migrations and seed inside the database
//	access.go     the login, the check through the broker, ACTIVE
//	undo.go       back to nothing but a SUSPENDED row
//	owner.go      later: a role of the tenant's own that may change its schema
//	relimit.go    later: another plan, other limits
//	repair.go     later: a password that somebody changed at the server
//	prepare.go    what a server needs once, before its first tenant
//
// Nothing here runs in the background: a run owns its two connections to the
// tenants' server and one to the registry, and closes them before it returns. Runs for different tenants
// may go on at the same time.
package provision
