package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes: a script can tell a wrong call from a failed one.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// streams is what a command sees of the world around it.
type streams struct {
	out, err io.Writer
	env      func(string) (string, bool)
	environ  func() []string // all of it, as os.Environ; nil: unknown
	args     []string        // the command line, for what its parser leaves out
}

// A usageError is a call that no retry makes right.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run executes one command line and returns its exit code. SIGINT and SIGTERM
// cancel the command's context; a second one ends the process at once.
func run(args []string, s streams) int {
	ctx, stop := untilSignal()
	defer stop()

	s.args = args
	root := newRoot(s)
	root.SetArgs(args)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(s.err, "dermaga: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

// untilSignal returns a context that the first SIGINT or SIGTERM cancels. The second
// has its default effect, whenever it comes: signal.NotifyContext loses one that
// comes before its stop has been called.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		if s, ok := (<-signals).(syscall.Signal); ok {
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "dermaga",
		Short: "One PostgreSQL address for every tenant's database",
		Long: `Dermaga is a connection broker for one-database-per-tenant PostgreSQL.
Clients connect to postgresql://user:password@broker:6432/<slug>.`,
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		hint := ""
		if errors.As(err, &unknown) {
			hint = didYouMean("--"+unknown.GetSpecifiedName(), flagNames(cmd))
		}
		return usageError{fmt.Errorf("%w%s (see: %s --help)", err, hint, cmd.CommandPath())}
	})
	root.AddCommand(newServe(s), newDev(s),
		newTenant(s), newLogin(s), newServer(s), newStats(s), newReady(s), newActivities(s), newDisconnect(s),
		newRegistry(s), newConfig(s), newVersion(), newSettings())
	return root
}

// noArgs refuses arguments and names the first one: most often it is a
// mistyped command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("unknown command or argument %q (see: %s --help)", args[0], cmd.CommandPath())}
}

// exactArgs asks for the arguments that use names.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %d argument(s) %v, got %d (see: %s --help)",
			cmd.CommandPath(), len(names), names, len(args), cmd.CommandPath())}
	}
}
