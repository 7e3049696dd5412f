// Package fakepg has a server and a client that speak the PostgreSQL protocol by
// script, for tests of what real ones will not do: split, stall and lie. What a
// real one does is tested with a real one (internal/pgtest).
//
// Every read of a client has a deadline, so that a test ends when the other side
// does not answer. Read server.go for the server's script, client.go for the client's.
package fakepg
