// Package console is the door for operators and monitoring: whoever logs in to
// one of its databases (Names) talks to the pooler itself, in the commands and
// with the columns of PgBouncer's admin console, so that existing exporters,
// dashboards and habits work. A connection whose client has proven who it is goes
// in; it comes back when it has ended.
//
// The console imports nothing of the broker's but the wire format: what it shows
// and commands is behind Pooler (pooler.go), in structs of its own.
//
// Read in this order: console.go (Console, its visits), visit.go (one client:
// simple and extended queries), parse.go (what a query asks for), show.go and
// columns.go (tables), stats.go (totals and averages), command.go (orders),
// result.go (how rows and errors are written), faults.go (every error).
//
// Goroutines: Serve runs in the caller's and reads in one of its own, which is
// gone when Serve returns. Run is the caller's too.
package console
