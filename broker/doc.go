// Package broker is what PostgreSQL clients connect to. A TCP connection goes
// in; what comes out is a client in the hands of the relay, or an error that the
// client was told.
//
// A connection's trip, and the order in which to read: broker.go (Config, Serve,
// Shutdown), accept.go (one bounded ceremony for each connection), greet.go
// (first packets → hello), authenticate.go and scram.go (hello → identity),
// resolve.go (identity → passage: a route, and room for one more client),
// welcome.go and told.go (what the client is told; the hand-over). Each station
// takes what the one before made, so that a wrong order does not compile.
//
// Beside the trip: dial.go and prove.go (a route → a logged-in server, when the
// relay asks for one), cancel.go (whose key is it), check.go (provisioning's
// proof that a login works), limits.go (which tenants may have servers),
// errors.go (every message that a client can get), line.go (one message at a
// time and never a byte more), stats.go and metrics.go.
//
// Goroutines: one for each connection during its ceremony, owned by Serve; the
// relay's loops and the dials that it starts. Shutdown waits for all of them. A
// connection that the relay has costs no goroutine.
//
// Locks do not nest: census, keyring, changes and counters each guard their own.
package broker
