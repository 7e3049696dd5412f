package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

// A call is one command that speaks to the admin API.
type call struct {
	api    *client.Client
	out    io.Writer
	err    io.Writer // for what is worth knowing beside the answer
	asJSON bool
	args   []string
}

// talk makes cmd a command that speaks to the admin API.
func talk(s streams, cmd *cobra.Command, do func(ctx context.Context, c call) error) *cobra.Command {
	settings := takeSettings(cmd, s, clientGroup, dataGroup)
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for programs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := settings.resolve()
		if err != nil {
			return err
		}
		api, err := adminClient(o, s)
		if err != nil {
			return err
		}
		defer api.Close()
		return do(cmd.Context(), call{
			api: api, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), asJSON: *asJSON, args: args,
		})
	}
	return cmd
}

// show prints v for a program, or else has text print it for a person.
func (c call) show(v any, text func() error) error {
	if c.asJSON {
		return printJSON(c.out, v)
	}
	return text()
}

func (c call) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

// reached says how many brokers have acted on a change, and names who has not.
func (c call) reached(instances []client.Instance) string {
	var done, silent int
	for _, i := range instances {
		switch {
		case i.Acknowledged:
			done++
		case i.Live:
			fmt.Fprintf(c.err, "warning: broker %s at %s has not acknowledged it within a second\n", i.ID, i.PeerAddress)
		default:
			silent++
		}
	}
	text := fmt.Sprintf("%d of %d broker(s) acknowledged", done, len(instances)-silent)
	if silent > 0 {
		text += fmt.Sprintf(", %d silent", silent)
	}
	return text
}

// parent makes a command that only has others below it.
func parent(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(below...)
	return cmd
}

func printTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush() // reports what the writes ran into
}

func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func whenever(t *time.Time, never string) string {
	if t == nil {
		return never
	}
	return when(*t)
}

func orElse(n int, text string) string {
	if n == 0 {
		return text
	}
	return strconv.Itoa(n)
}

func orText(s, text string) string {
	if s == "" {
		return text
	}
	return s
}

// A span is a duration flag that also counts in days.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return "" // pflag would print it as the default
	}
	return time.Duration(*s).String()
}

func (s *span) Type() string { return "DURATION" }

func (s *span) Set(text string) error {
	days, isDays := strings.CutSuffix(text, "d")
	if isDays {
		n, err := strconv.Atoi(days)
		if err == nil && n >= 0 && n <= 36500 {
			*s = span(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("want a duration such as 30s, 12h or 7d")
	}
	*s = span(d)
	return nil
}

func (s span) seconds() int64 { return client.Seconds(time.Duration(s)) }
