// Command journal-api serves the books of many companies, each of which has a
// database of its own behind Dermaga: JSON for programs, plain pages for people.
// README.md tells how to try it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `journal-api serves the books of companies behind Dermaga.

  journal-api user   puts a user into the file of users and into companies
  journal-api serve  serves until SIGTERM or Ctrl-C

"-h" after either lists its flags. Secrets come from the environment:

  JOURNAL_BROKER_URL   postgresql://LOGIN:PASSWORD@HOST:6432/ of a service login
  JOURNAL_SESSION_KEY  at least 32 random bytes in hexadecimal, such as
                       openssl rand -hex 32; without it, sessions end with serve
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "journal-api:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return fmt.Errorf("say user or serve")
	}
	switch args[0] {
	case "user":
		return user(ctx, args[1:], in, out, errs)
	case "serve":
		return serve(ctx, args[1:], errs)
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
		return nil
	}
	fmt.Fprint(errs, usage)
	return fmt.Errorf("there is no command %q", args[0])
}
