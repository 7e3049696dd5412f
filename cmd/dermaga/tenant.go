package main

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/slug"
)

// shownActivities is how many lines of its log `tenant show` shows.
const shownActivities = 20

func newTenant(s streams) *cobra.Command {
	return parent("tenant", "Create, change and look at tenants",
		newTenantCreate(s), newTenantRetry(s), newTenantList(s), newTenantShow(s), newTenantSet(s),
		newTenantSuspend(s), newTenantResume(s), newTenantDelete(s), newTenantRestore(s), newTenantPassword(s))
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
	flags.StringVar(&t.PoolMode, "pool-mode", "", strings.Join(registry.PoolModes, ", ")+" (default: the broker's)")
	flags.IntVar(&t.MaxClients, "max-clients", 0, "clients at the same time (default: the plan's)")
	idempotencyKey(cmd, &t.IdempotencyKey)
	return talk(s, cmd, func(ctx context.Context, c call) error {
		t.Slug = c.args[0]
		made, err := c.api.CreateTenant(ctx, t)
		if err != nil {
			return err
		}
		return c.show(made, func() error { return c.printCreated(made) })
	})
}

// idempotencyKey is the flag of commands that make something.
func idempotencyKey(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "idempotency-key", "", "a second call with the same key gets the first one's answer")
}

func newTenantRetry(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry SLUG",
		Short: "Provision a tenant whose provisioning failed or was cut off",
		Args:  exactArgs("SLUG"),
	}
	return talk(s, cmd, func(ctx context.Context, c call) error {
		made, err := c.api.RetryTenant(ctx, c.args[0])
		if err != nil {
			return err
		}
		return c.show(made, func() error { return c.printCreated(made) })
	})
}

func (c call) printCreated(made client.Created) error {
	return c.printf(`tenant %s is %s

  %s

The password is in the URL and is shown this once. Try it:

  psql '%s' -c 'select code, name_id from accounts limit 5'
`, made.Slug, made.Status, made.URL, made.URL)
}

func newTenantList(s streams) *cobra.Command {
	var f client.TenantFilter
	cmd := &cobra.Command{Use: "list", Short: "List the tenants", Args: noArgs}
	flags := cmd.Flags()
	flags.StringVar(&f.Status, "status", "", "only these: PROVISIONING, MIGRATING, ACTIVE, SUSPENDED or DELETED (default: all but DELETED)")
	flags.StringVar(&f.Plan, "plan", "", "only those with this plan")
	flags.StringVar(&f.Server, "server", "", "only those on this server")
	flags.StringVar(&f.Text, "text", "", "only those with this in the slug or the name")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		found, err := c.api.Tenants(ctx, f)
		if err != nil {
			return err
		}
		return c.show(found, func() error {
			rows := [][]string{{"SLUG", "NAME", "PLAN", "STATUS", "SERVER", "DATABASE", "CREATED"}}
			for _, t := range found {
				rows = append(rows, []string{t.Slug, t.Name, t.Plan, t.Status, t.Server, t.Database, when(t.CreatedAt)})
			}
			return printTable(c.out, rows)
		})
	})
}

// shown is what `tenant show --json` prints.
type shown struct {
	client.Tenant
	Activities []client.Activity `json:"activities"`
}

func newTenantShow(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "show SLUG", Short: "Show a tenant and what was done to it", Args: exactArgs("SLUG")}
	return talk(s, cmd, func(ctx context.Context, c call) error {
		t, err := c.api.Tenant(ctx, c.args[0])
		if err != nil {
			return err
		}
		log, err := c.api.Activities(ctx, c.args[0], shownActivities)
		if err != nil {
			return err
		}
		return c.show(shown{t, log}, func() error { return printTenant(c.out, t, log) })
	})
}

func printTenant(out io.Writer, t client.Tenant, log []client.Activity) error {
	status := t.Status
	if t.StatusReason != "" {
		status += ": " + t.StatusReason
	}
	if t.PurgeAfter != nil {
		status += ", to be restored until " + when(*t.PurgeAfter)
	}
	rows := slices.Concat([][]string{
		{"slug", t.Slug},
		{"name", t.Name},
		{"status", status},
		{"plan", t.Plan},
		{"pool size", orElse(t.PoolSize, "the plan's")},
		{"min pool size", orElse(t.MinPoolSize, "none")},
		{"pool mode", orText(t.PoolMode, "the broker's default")},
		{"max clients", orElse(t.MaxClients, "the plan's")},
	}, ownRows(t.Settings), [][]string{
		{"server", t.Server},
		{"database", t.Database},
		{"schema version", strconv.FormatInt(t.SchemaVersion, 10)},
		{"id", t.ID},
		{"created", when(t.CreatedAt)},
		{"changed", when(t.UpdatedAt)},
	})
	if err := printTable(out, rows); err != nil || len(log) == 0 {
		return err
	}
	if _, err := io.WriteString(out, "\nactivities, newest first\n"); err != nil {
		return err
	}
	return printActivities(out, log, false)
}
