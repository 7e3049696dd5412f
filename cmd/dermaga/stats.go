package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

func newStats(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "stats", Short: "Show what the brokers do now", Args: noArgs}
	return talk(s, cmd, func(ctx context.Context, c call) error {
		stats, err := c.api.Stats(ctx)
		if err != nil {
			return err
		}
		return c.show(stats, func() error { return c.printStats(stats) })
	})
}

func (c call) printStats(s client.Stats) error {
	err := c.printf("%d of %d tenants open, %d client(s), %d server connection(s), %d waiting\n\n",
		s.ActiveConnections, s.MaxConnections, s.Clients, s.Servers, s.Waiting)
	if err != nil {
		return err
	}
	rows := [][]string{{"TENANT", "CLIENTS", "ACTIVE", "WAITING", "SERVERS", "OF", "TRANSACTIONS", "WAITED", "EVICTIONS"}}
	for _, t := range s.Tenants {
		waited := time.Duration(t.WaitedSeconds * float64(time.Second)).Round(time.Millisecond)
		rows = append(rows, []string{
			t.Slug, strconv.Itoa(t.Clients), strconv.Itoa(t.Active), strconv.Itoa(t.Waiting), strconv.Itoa(t.Servers),
			strconv.Itoa(t.PoolSize), strconv.FormatUint(t.Transactions, 10), waited.String(), strconv.FormatUint(t.Evictions, 10),
		})
	}
	if err := printTable(c.out, rows); err != nil {
		return err
	}
	rows = [][]string{{"\nBROKER", "PEER ADDRESS", "STATE", "CLIENTS", "OF", "TENANTS", "OF", "SERVER CONNECTIONS (OF ITS SHARE)"}}
	for _, i := range s.Instances {
		shares := ""
		for _, x := range i.Servers {
			shares += fmt.Sprintf("%s %d (%d) ", x.Server, x.Used, x.Share)
		}
		rows = append(rows, []string{
			i.ID, i.PeerAddress, instanceState(i), strconv.Itoa(i.Clients), strconv.Itoa(i.MaxClients),
			strconv.Itoa(i.ActiveConnections), strconv.Itoa(i.MaxConnections), shares,
		})
	}
	return printTable(c.out, rows)
}

func instanceState(i client.InstanceStats) string {
	switch {
	case !i.Live:
		return "silent since " + when(i.HeartbeatAt)
	case i.Error != "":
		return "does not answer"
	case i.Draining:
		return "draining"
	}
	return "serving"
}
