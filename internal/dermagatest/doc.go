// Package dermagatest builds the command dermaga and runs it as processes, as
// its users do, for tests that no package's own could be: of signals, of
// replicas, of clients from elsewhere.
//
// The order to read the files in: build.go, process.go (a process from its start
// to its end), log.go (what it said), dev.go (`dermaga dev` around the tests of a
// package), release.go (what `make build` makes, likewise), swap.go (a road to the
// broker on which tenants are mixed up), installed.go (what clients from elsewhere need).
//
// Each Process owns two goroutines, one that waits for the child and one that
// reads what it says; both end with the child, and Wait returns after them.
package dermagatest
