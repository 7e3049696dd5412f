// Package release holds tests of what is released: the binary that `make build`
// makes, and the files of deploy/ that run it where there is nothing else.
//
// The order to read the files in: main_test.go (the binary is built once),
// binary_test.go (what it is, and that it needs nothing around it), deploy_test.go
// (the unit, the image, the compose file).
package release
