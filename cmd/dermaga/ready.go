package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

const (
	// readyLimit is how long the answer to `dermaga ready` may take.
	readyLimit = 5 * time.Second
	// besideUs is the admin API of a `dermaga serve` with its default address.
	besideUs = "http://127.0.0.1:6433"
)

// newReady is /ready as a command, for where there is no curl: a container's check.
func newReady(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Ask whether new clients can be sent to a broker",
		Long: `Ask the process at --admin-url whether new clients can be sent to it, without a token.
Exits with 0 if so, else with 1: for a container's health check, or a script that waits.
Without --admin-url it asks the running dermaga dev, or ` + besideUs + `.`,
		Args: noArgs,
	}
	settings := takeSettings(cmd, s, clientGroup, dataGroup)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := settings.resolve()
		if err != nil {
			return err
		}
		info, _, _ := runningDev(o, s) // where there is no data folder, none runs
		api := client.New(cmp.Or(o.client.url, info.Admin, besideUs), "")
		defer api.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), readyLimit)
		defer cancel()
		state, err := api.Ready(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), state.Status)
		return err
	}
	return cmd
}
