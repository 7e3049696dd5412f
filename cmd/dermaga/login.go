package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func newLogin(s streams) *cobra.Command {
	return parent("login", "Create, change and look at logins: what clients give as user",
		newLoginCreate(s), newLoginList(s), newLoginShow(s), newLoginRotate(s),
		newLoginDisable(s), newLoginEnable(s), newLoginDelete(s), newLoginGrant(s), newLoginRevoke(s))
}

func newLoginCreate(s streams) *cobra.Command {
	var l client.NewLogin
	var expires span
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a login and print its password, this once",
		Long: `Make a login and print its password, this once. A tenant's login (--tenant) reaches that
tenant; a service login (--service) reaches every tenant that it is granted.`,
		Example: `  dermaga login create journal-api --service --grant all
  dermaga login create reporting --tenant pt-media-nusa --role readonly
  dermaga login create migrate --tenant pt-media-nusa --role owner`,
		Args: exactArgs("NAME"),
	}
	flags := cmd.Flags()
	flags.StringVar(&l.Tenant, "tenant", "", "slug of the tenant it belongs to")
	flags.BoolVar(&l.Service, "service", false, "it belongs to no tenant and reaches those of --grant")
	flags.StringSliceVar(&l.Grants, "grant", nil, "all, or slugs with commas between them")
	flags.StringVar(&l.Role, "role", "", "app reads and writes rows, readonly reads, owner changes the schema of its tenant and takes an admin's token (default: app)")
	flags.StringVar(&l.Console, "console", "", "what it may do in the console: stats or admin (default: nothing)")
	flags.StringVar(&l.PoolMode, "pool-mode", "", strings.Join(registry.PoolModes, ", ")+" (default: the tenant's)")
	flags.IntVar(&l.MaxClients, "max-clients", 0, "clients at the same time (default: no limit of its own)")
	flags.Var(&expires, "expires", "time after which it is unknown, such as 12h or 90d (default: never)")
	flags.BoolVar(&l.Replication, "replication", false, "it may open connections for logical replication; takes an admin's token")
	idempotencyKey(cmd, &l.IdempotencyKey)
	return talk(s, cmd, func(ctx context.Context, c call) error {
		l.Name = c.args[0]
		if expires > 0 {
			at := time.Now().Add(time.Duration(expires))
			l.ExpiresAt = &at
		}
		made, err := c.api.CreateLogin(ctx, l)
		if err != nil {
			return err
		}
		return c.show(made, func() error { return c.printPassword(made) })
	})
}

func (c call) printPassword(l client.LoginWithPassword) error {
	return c.printf(`login %s of %s

  password  %s
  URL       %s

The password is shown this once.
`, l.Name, whose(l.Login), l.Password, l.URL)
}

// whose says what a login reaches.
func whose(l client.Login) string {
	switch {
	case !l.Service:
		return "tenant " + l.Tenant
	case len(l.Grants) == 0:
		return "a service, granted no tenant"
	}
	return "a service, granted " + strings.Join(l.Grants, ", ")
}

// ofTenant is the flag that tells a tenant's login from a service's.
func ofTenant(cmd *cobra.Command) *string {
	return cmd.Flags().String("tenant", "", "slug of the tenant it belongs to (default: a service login is meant)")
}

func newLoginList(s streams) *cobra.Command {
	var f client.LoginFilter
	cmd := &cobra.Command{Use: "list", Short: "List the logins", Args: noArgs}
	cmd.Flags().StringVar(&f.Tenant, "tenant", "", "only those of this tenant")
	cmd.Flags().BoolVar(&f.Service, "service", false, "only service logins")
	cmd.Flags().StringVar(&f.Text, "text", "", "only those with this in the name")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		found, err := c.api.Logins(ctx, f)
		if err != nil {
			return err
		}
		return c.show(found, func() error {
			rows := [][]string{{"NAME", "OF", "ROLE", "CONSOLE", "STATE", "CREATED"}}
			for _, l := range found {
				rows = append(rows, []string{l.Name, whose(l), l.Role, orText(l.Console, "-"), loginState(l), when(l.CreatedAt)})
			}
			return printTable(c.out, rows)
		})
	})
}

func loginState(l client.Login) string {
	switch {
	case l.DisabledAt != nil:
		return "disabled"
	case l.ExpiresAt != nil && l.ExpiresAt.Before(time.Now()):
		return "expired"
	case l.ExpiresAt != nil:
		return "until " + when(*l.ExpiresAt)
	}
	return "valid"
}

func newLoginShow(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Short: "Show a login", Args: exactArgs("NAME")}
	tenant := ofTenant(cmd)
	return talk(s, cmd, func(ctx context.Context, c call) error {
		l, err := c.api.Login(ctx, c.args[0], *tenant)
		if err != nil {
			return err
		}
		return c.show(l, func() error { return c.printLogin(l) })
	})
}

func (c call) printLogin(l client.Login) error {
	return printTable(c.out, [][]string{
		{"name", l.Name},
		{"of", whose(l)},
		{"role", l.Role},
		{"console", orText(l.Console, "nothing")},
		{"replication", map[bool]string{true: "logical", false: "no"}[l.Replication]},
		{"pool mode", orText(l.PoolMode, "the tenant's")},
		{"max clients", orElse(l.MaxClients, "no limit of its own")},
		{"state", loginState(l)},
		{"expires", whenever(l.ExpiresAt, "never")},
		{"id", l.ID},
		{"created", when(l.CreatedAt)},
	})
}
