// Package wire knows the bytes of the PostgreSQL protocol and the words of its
// SQL: where a message ends (frame.go), what the broker writes itself
// (message.go), the startup packet (startup.go), and which texts can leave
// something behind in a session (lex.go). It does no I/O, keeps nothing, and
// imports the standard library only. Everything that reads bytes from a peer is
// fuzzed.
package wire
