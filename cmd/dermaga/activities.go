package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

func newActivities(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "activities [SLUG]",
		Short: "Show what was done, newest first: to a tenant, or to all",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one slug at most (see: %s --help)", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
	}
	limit := cmd.Flags().Int("limit", 50, "lines to show; 0: all")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		slug := ""
		if len(c.args) > 0 {
			slug = c.args[0]
		}
		log, err := c.api.Activities(ctx, slug, max(0, *limit))
		if err != nil {
			return err
		}
		return c.show(log, func() error { return printActivities(c.out, log, slug == "") })
	})
}

// printActivities names the tenant of each line if they are about several.
func printActivities(out io.Writer, log []client.Activity, several bool) error {
	var rows [][]string
	for _, a := range log {
		row := []string{when(a.At), a.Action, a.Outcome, a.Actor, a.Message}
		if several {
			row = append([]string{row[0], orText(a.Tenant, orText(a.Server, "-"))}, row[1:]...)
		}
		rows = append(rows, row)
	}
	return printTable(out, rows)
}
