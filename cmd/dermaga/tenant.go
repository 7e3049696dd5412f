package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry/slug"
)

// shownActivities is how many lines of its log `tenant show` shows.
const shownActivities = 20

func newTenant(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "Create and look at tenants, through the admin API",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTenantCreate(s), newTenantList(s), newTenantShow(s))
	return cmd
}

// talk makes a command that speaks to the admin API. do gets the client and
// whether JSON is wanted.
func talk(s streams, cmd *cobra.Command, do func(ctx context.Context, c *client.Client, out io.Writer, asJSON bool, args []string) error) *cobra.Command {
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
		return do(cmd.Context(), api, cmd.OutOrStdout(), *asJSON, args)
	}
	return cmd
}

func newTenantCreate(s streams) *cobra.Command {
	var t client.NewTenant
	cmd := &cobra.Command{
		Use:     "create SLUG",
		Short:   "Provision a tenant and print its connection URL",
		Long:    "Provision a tenant: its database, roles, schema and login.\nThe URL holds the login's password, which is shown this once.\n\nRule: " + slug.Rule + ".",
		Example: `  dermaga tenant create pt-media-nusa --name "PT Media Nusa" --plan STARTER`,
		Args:    exactArgs("SLUG"),
	}
	flags := cmd.Flags()
	flags.StringVar(&t.Name, "name", "", "the company's name (default: the slug)")
	flags.StringVar(&t.Plan, "plan", "", "STARTER, BUSINESS or ENTERPRISE (default: STARTER)")
	flags.IntVar(&t.PoolSize, "pool-size", 0, "server connections its clients share (default: the plan's)")
	flags.StringVar(&t.PoolMode, "pool-mode", "", "transaction or session (default: the broker's)")
	flags.IntVar(&t.MaxClients, "max-clients", 0, "clients at the same time (default: the plan's)")
	return talk(s, cmd, func(ctx context.Context, c *client.Client, out io.Writer, asJSON bool, args []string) error {
		t.Slug = args[0]
		made, err := c.CreateTenant(ctx, t)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(out, made)
		}
		return printCreated(out, made)
	})
}

func printCreated(out io.Writer, made client.Created) error {
	_, err := fmt.Fprintf(out, `tenant %s is %s

  %s

The password is in the URL and is shown this once. Try it:

  psql '%s' -c 'select code, name_id from accounts limit 5'
`, made.Slug, made.Status, made.URL, made.URL)
	return err
}

func newTenantList(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the tenants", Args: noArgs}
	return talk(s, cmd, func(ctx context.Context, c *client.Client, out io.Writer, asJSON bool, _ []string) error {
		found, err := c.Tenants(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(out, found)
		}
		rows := [][]string{{"SLUG", "NAME", "PLAN", "STATUS", "SERVER", "DATABASE", "CREATED"}}
		for _, t := range found {
			rows = append(rows, []string{t.Slug, t.Name, t.Plan, t.Status, t.Server, t.Database, when(t.CreatedAt)})
		}
		return printTable(out, rows)
	})
}

// shown is what `tenant show --json` prints.
type shown struct {
	client.Tenant
	Activities []client.Activity `json:"activities"`
}

func newTenantShow(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "show SLUG", Short: "Show a tenant and what was done to it", Args: exactArgs("SLUG")}
	return talk(s, cmd, func(ctx context.Context, c *client.Client, out io.Writer, asJSON bool, args []string) error {
		t, err := c.Tenant(ctx, args[0])
		if err != nil {
			return err
		}
		log, err := c.Activities(ctx, args[0], shownActivities)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(out, shown{t, log})
		}
		return printTenant(out, t, log)
	})
}

func printTenant(out io.Writer, t client.Tenant, log []client.Activity) error {
	status := t.Status
	if t.StatusReason != "" {
		status += ": " + t.StatusReason
	}
	rows := [][]string{
		{"slug", t.Slug},
		{"name", t.Name},
		{"status", status},
		{"plan", t.Plan},
		{"pool size", orElse(t.PoolSize, "the plan's")},
		{"pool mode", orText(t.PoolMode, "the broker's default")},
		{"max clients", orElse(t.MaxClients, "the plan's")},
		{"server", t.Server},
		{"database", t.Database},
		{"schema version", strconv.FormatInt(t.SchemaVersion, 10)},
		{"id", t.ID},
		{"created", when(t.CreatedAt)},
		{"changed", when(t.UpdatedAt)},
	}
	if err := printTable(out, rows); err != nil || len(log) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(out, "\nactivities, newest first"); err != nil {
		return err
	}
	rows = nil
	for _, a := range log {
		rows = append(rows, []string{when(a.At), a.Action, a.Outcome, a.Actor, a.Message})
	}
	return printTable(out, rows)
}

func printTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush() // reports what the writes ran into
}

func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

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
