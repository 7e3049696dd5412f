// Package relaytest puts a relay in front of a real database, without the
// ceremony of logging in: the test holds the other end of each client's
// connection as one that is logged in already. So thousands of clients take
// seconds, and a test sees exactly what the relay does to messages.
//
// A Rig owns its relay, whose goroutines are gone when the test that started it
// has ended. Its methods may be called from any goroutine of that test.
//
// The order to read the files in: rig.go, client.go, parts.go (what a rig is made
// of, for tests that make one of their own), limits.go.
package relaytest
