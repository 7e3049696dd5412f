// Command bench measures what a pooler costs: the same pgbench load goes to
// PostgreSQL directly, through PgBouncer, through Odyssey and through Dermaga,
// in turns within one run, and what counts first is the pooler's own CPU time
// per transaction.
//
// The trip of a run, and the order to read the files in:
//
//	main.go      flags, the order of things
//	workplace.go a folder that goes away with the run
//	process.go   children: started, watched, ended by their id
//	dermaga.go   `dermaga dev` with its PostgreSQL, and a tenant to load
//	database.go  pgbench's tables, a role for the peers, what may read them
//	pgbouncer.go odyssey.go   the peers and their settings
//	rounds.go    who runs when
//	pgbench.go   one measurement: transactions per second, and the CPU meanwhile
//	cpu.go       a process's CPU clock
//	result.go    medians, ranges, ties; JSON
//	table.go     the table
//	peers.go     `bench peers`: PgBouncer and Odyssey from Debian's forky suite
//
// It drives binaries and imports nothing of Dermaga. It runs on Linux.
package main
