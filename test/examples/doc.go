// Package examples holds the test that runs the tests of the Go modules in examples/:
// each has a go.mod of its own, which `go test ./...` does not enter.
package examples
