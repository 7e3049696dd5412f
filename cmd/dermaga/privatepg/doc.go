// Package privatepg runs a PostgreSQL that belongs to the process that started
// it: `dermaga dev` and the tests live on one.
//
// The trip of Start, and the order to read the files in:
//
//	server.go    Config, Start, Stop: what the caller sees
//	account.go   whose process it will be: PostgreSQL refuses root
//	binaries.go  which installed initdb and postgres are used
//	archive.go   … or, where there are none, a pinned archive fetched once
//	untar.go     and unpacked
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
// Each Server owns one goroutine, which waits for the child locked to the thread
// that forked it: Linux sends the parent-death signal when that thread ends
// (prctl(2), PR_SET_PDEATHSIG). Stop waits for it.
package privatepg
