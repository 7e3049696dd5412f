// Package model holds a model-based test: generated sequences of protocol messages
// from several clients go through the broker's relay, and the same bytes go from a
// twin of each client to PostgreSQL itself. PostgreSQL is the model: what a client
// hears must be, message by message and byte for byte, what its twin hears.
//
// The order to read the files in:
//
//	main_test.go        how many sequences
//	message_test.go     one message, and how it reads in a report
//	vocabulary_test.go  the SQL that clients send, by theme
//	sequence_test.go    the generator: steps of messages
//	stage_test.go       databases, relay, clients and twins; kept between sequences
//	line_test.go        one connection, read by a goroutine of its own
//	dialogue_test.go    which answers PostgreSQL still owes for what was sent
//	compare_test.go     what is masked, and why
//	play_test.go        a sequence played, and the rule of waiting
//	model_test.go       the property
//	between_test.go     somebody between two ends, who changes what passes by
//	planted_test.go     bugs made on purpose, which the property must find
//
// # The rule of waiting
//
// A step is what one client sends in one write. Its twin's answers are awaited at
// once: twins have a server each and nothing in common. The client's are awaited
// only if they must come. With S the clients that hold a server (in a transaction, a
// batch that no Sync has ended, or a COPY; all of what they asked was answered) or
// that may hold one without need (they have made state that pins), and W those that
// have sent a step and heard no answer:
//
//   - a client of W that held a server before its step must be answered;
//   - if S has fewer members than the pool has servers, somebody of W must be
//     answered, whoever it is;
//   - else W waits: the sequence goes on with the steps of others, and those of W's
//     clients are put off until they are answered.
//
// So no sequence deadlocks, and a client that gets no answer in spite of the rule is
// a failure like any other. When the steps are over, the holders end what they have
// open and discard their state, one after another, which lets the rest go on.
//
// # What is left out
//
// Clients share no tables, locks or channels: what they do to each other depends on
// who comes first. What differs by design is not said:
//
//   - currval and lastval, setseed, pg_backend_pid();
//   - SHOW of a custom setting that is not set, which may be empty instead of NULL: it
//     is asked by current_setting(…, true) and coalesce;
//   - EXECUTE of a statement that was prepared in the protocol, and EXECUTE prepared in
//     the protocol: PostgreSQL describes that by what it meant when it was parsed;
//   - Execute of the unnamed portal that a failed Query has left in its transaction:
//     PostgreSQL itself may crash;
//   - a Sync between an Execute of COPY FROM and the end of its data, unless
//     CopyInResponse has come: if the data is bad, nobody but PostgreSQL knows whether
//     it has ignored that Sync.
package model
