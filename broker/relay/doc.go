// Package relay moves bytes between clients that are logged in and servers that
// are logged in. What goes in: a Client with its Target (Add); what comes out:
// answers on its socket, and one call of Ended when it is gone.
//
// Each loop is one goroutine locked to its thread, with its own poller, read
// buffer and pools. A client, the server it is paired with, their pool and their
// tenant belong to one loop and are touched by its goroutine only, so the path
// of a message takes no lock. The outside speaks to a loop through its mailbox
// and never waits for it on the loop's side.
//
// A connection's trip, and the order in which to read: relay.go (the door),
// mailbox.go, loop.go (one turn), conn.go (a socket's two directions), client.go
// (bytes from a client), attach.go and pool.go (finding a server), settings.go
// (what the server must be told first), forward.go, due.go and answer.go (bytes both
// ways, and whose answer comes next), statements.go and shape.go (prepared ones, on
// whatever server), command.go (DISCARD ALL and its kin), refuse.go (what a mode
// does not allow), carry.go and routines.go (what a text may leave behind), audit.go
// and pin.go (what it has left), release.go (may it go back?), chore.go (what a
// server does between two clients), hold.go (tenants that wait or end), server.go
// and bury.go (opened, lost, closed), timers.go, stats.go and look.go.
//
// It knows nothing of registries, passwords or tenants' statuses.
package relay
