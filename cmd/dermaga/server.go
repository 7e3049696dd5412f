package main

import (
	"context"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

func newServer(s streams) *cobra.Command {
	return parent("server", "Look at the PostgreSQL servers of the tenants' databases", newServerList(s), newServerShow(s))
}

func newServerList(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the servers", Args: noArgs}
	return talk(s, cmd, func(ctx context.Context, c call) error {
		found, err := c.api.Servers(ctx)
		if err != nil {
			return err
		}
		return c.show(found, func() error { return c.printServers(found) })
	})
}

func newServerShow(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Short: "Show a server", Args: exactArgs("NAME")}
	return talk(s, cmd, func(ctx context.Context, c call) error {
		found, err := c.api.Server(ctx, c.args[0])
		if err != nil {
			return err
		}
		return c.show(found, func() error { return c.printServers([]client.Server{found}) })
	})
}

func (c call) printServers(found []client.Server) error {
	rows := [][]string{{"NAME", "ADDRESS", "TLS", "STATE", "CONNECTIONS", "TENANTS", "ROOM FOR"}}
	for _, x := range found {
		rows = append(rows, []string{
			x.Name, net.JoinHostPort(x.Host, strconv.Itoa(x.Port)), x.SSLMode, x.State,
			strconv.Itoa(x.ConnectionBudget), strconv.Itoa(x.Tenants), orElse(x.MaxTenants, "any"),
		})
	}
	return printTable(c.out, rows)
}
