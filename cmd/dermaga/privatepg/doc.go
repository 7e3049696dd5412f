// Package privatepg runs a PostgreSQL that belongs to the process that started
// it: `dermaga dev` and the tests live on one.
//
// The trip of Start, and the order to read the files in:
//
//	server.go    Config, Start, Stop: what the caller sees
//	account.go   whose process it will be: PostgreSQL refuses root
//	binaries.go  which installed initdb and postgres are used
//	archive.go   … or, where there are none, a pinned archive fetched once
//	cluster.go   initdb, once per data folder
//	leftover.go  a postmaster.pid that an earlier run left behind
//	process.go   the child: started, watched, ended with its owner
//
// The server listens on loopback only, has no Unix socket, and lets nobody in
// without SCRAM. Config.Data is a folder of the package's own:
//
//	cluster/       PostgreSQL's data directory
//	server.log     what the server says; server.log.1 is the run before
//
// Each Server owns two goroutines' worth of nothing but the child's wait: one
// goroutine, locked to its thread for as long as the child lives, because Linux
// ties the parent-death signal to the thread that forked (prctl(2),
// PR_SET_PDEATHSIG). It ends when the child does; Stop waits for it.
package privatepg
