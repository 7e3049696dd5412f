// Package broker is what PostgreSQL clients connect to. A TCP connection goes
// in; what comes out is a client in the hands of the relay, or an error that the
// client was told.
//
// A connection's trip, and the order in which to read: broker.go (Config, Serve,
// Shutdown), accept.go (one bounded ceremony for each connection), greet.go
// (first packets → hello), authenticate.go and scram.go (hello → identity),
// resolve.go (identity → passage: a route, and room for one more client),
// welcome.go and told.go (what the client is told; the hand-over), or, for the
// console's databases, consult.go. Each station takes what the one before made, so
// that a wrong order does not compile.
//
// Beside the trip: upstream.go, dial.go and prove.go (a route → a logged-in
// server, when the relay asks for one; what is remembered of those that refuse),
// cancel.go and cancels.go (whose key is it, and who asks too often), check.go
// (provisioning's proof that a login works), limits.go, budget.go and shares.go
// (which tenants may have servers, and how many), errors.go and endings.go (every
// message that a client can get), events.go (every line of the log), line.go (one
// message at a time and never a byte more), socket.go, stats.go, series.go and
// metrics.go.
//
// What the registry says later: status.go (announced changes, and a look each
// second), barriers.go (statuses and logins, made true for the clients that are
// here), census.go (who they are), acks.go (what is done, told to the registry).
// Other instances: peers.go. What the console shows and commands: lookout.go,
// settings.go, pauses.go.
//
// Goroutines: one for each connection during its ceremony, owned by Serve; the
// watcher; the relay's loops and the dials that it starts; two for each client of
// the console. Shutdown waits for all of them. A connection that the relay has costs
// no goroutine.
//
// Locks do not nest, but for the one of acks, under which the registry is told, and
// pauses.entering, under which the relay is given clients: those take none of ours.
// Each of census, keyring, changes, tallies, upstreams, cancels, pauses, visited and
// watcher guards its own.
package broker
