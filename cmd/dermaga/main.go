// Command dermaga gives every tenant's PostgreSQL database one address:
// postgresql://user:password@dermaga:6432/<slug>.
//
// Read it in this order: root.go (the commands and their exit codes),
// settings.go and settings_table.go (every flag and environment variable,
// declared once), assemble.go (who is joined to whom), talk.go (a command that
// speaks to the admin API), then one file per command, named like it.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], streams{out: os.Stdout, err: os.Stderr, env: os.LookupEnv, environ: os.Environ}))
}
