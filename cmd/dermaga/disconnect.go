package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

func newDisconnect(s streams) *cobra.Command {
	var all bool
	var grace span
	cmd := &cobra.Command{
		Use:   "disconnect SLUG | --all",
		Short: "End the clients of a tenant, or of all; they may connect again",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || all == (len(args) == 1) {
				return usageError{fmt.Errorf("%s takes a slug or --all (see: %s --help)", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of all tenants")
	cmd.Flags().Var(&grace, "grace", "how long running transactions may take to finish (default: 10s)")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		slug := ""
		if !all {
			slug = c.args[0]
		}
		done, err := c.api.Disconnect(ctx, slug, client.Disconnection{GraceSeconds: grace.seconds()})
		if err != nil {
			return err
		}
		err = c.show(done, func() error { return c.printf("%d client(s) disconnected\n", done.Clients) })
		for _, i := range done.Instances {
			if i.Error != "" {
				err = errors.Join(err, fmt.Errorf("broker %s: %s", i.ID, i.Error))
			}
		}
		return err
	})
}
