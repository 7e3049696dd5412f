// Package docs holds the test of README.md and docs/: every command in them is
// executed, in the order in which it stands there, and what it prints is compared
// with what the page shows.
//
// A block of shell commands is one of two kinds:
//
//	sh       a script that must succeed; what it prints is not shown
//	console  commands behind "$ " (going on behind "> "), each with its output
//
// In an output … stands for anything within a line, and alone on a line for any
// number of lines. Everything else must be there to the letter. Comments in the
// page say what the reader need not see:
//
//	<!-- world: dev -->         at the top: the commands meet a running dermaga dev
//	<!-- world: server -->      … an empty PostgreSQL, at $SERVER
//	<!-- run: COMMAND -->       executed here, and must succeed
//	<!-- until: TEXT -->        the next block goes on beside those that follow;
//	                            they begin when it has printed TEXT
//	<!-- not run: REASON -->    the next block is not executed
//
// The order to read the files in: page_test.go (reading a page), output_test.go
// (comparing), world_test.go (where commands run), docs_test.go (the test, and the
// test of it).
package docs
