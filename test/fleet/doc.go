// Package fleet holds tests that run a fleet as its operators do: replicas of
// `dermaga serve` over one registry, on private PostgreSQLs, and end them in every
// way that processes and databases end: killed, stopped, restarted, taken away.
//
// The order to read the files in:
//
//	main_test.go      what all tests share: two PostgreSQLs, a registry, a token
//	cluster_test.go   a PostgreSQL that tests may stop and start
//	replica_test.go   a `dermaga serve`, and the tenants made through it
//	crowd_test.go     clients that run transactions, and what befell them
//	vitals_test.go    what a replica takes of its machine, and what its console says
//	budget_test.go    … and one file per promise
//
// The mixed load has several: visitor_test.go (a client that knows what it has done),
// acts_test.go, keeps_test.go and vanish_test.go (what clients do), mixed_test.go.
//
// The tests run one after another and leave behind no process and no session.
// With -long they are as large and as long as what they claim, and run the command
// as it is released; without it they are the same in small, and the command looks
// for its own data races.
package fleet
