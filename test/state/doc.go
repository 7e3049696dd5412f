// Package state holds the proof that no client sees another's session state and
// none loses its own: a matrix of every kind of state, every way to make it,
// every mode and both protocols.
//
// A cell of the matrix is a story of three clients of one relay: A makes the
// state, B looks and must see what a connection sees that was just opened, A looks
// again and must see what it would without a relay. What a direct connection
// sees is never written down: the same messages are sent on one.
//
// The order to read the files in:
//
//	main_test.go    the cluster and its roles
//	actor_test.go   who sends messages, and what came back as lines of text
//	kinds_test.go   the kinds of state
//	ways_test.go    the ways to make it
//	hidden_test.go  … those that the text of a query does not show
//	cell_test.go    one cell's story, in each mode
//	matrix_test.go  all cells, and those that cannot be
//	proofs_test.go  what the matrix cannot say, and the published exceptions
package state
