package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
)

// defaultOverlap lets the clients of a login change to its new password one after
// another.
const defaultOverlap = time.Hour

func newLoginRotate(s streams) *cobra.Command {
	overlap := span(defaultOverlap)
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a login a new password and print it, this once",
		Args:  exactArgs("NAME"),
	}
	tenant := ofTenant(cmd)
	cmd.Flags().Var(&overlap, "overlap", "how long the password before still works")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		l, err := c.api.RotateLogin(ctx, c.args[0], *tenant, client.Rotation{OverlapSeconds: overlap.seconds()})
		if err != nil {
			return err
		}
		return c.show(l, func() error {
			if err := c.printPassword(l); err != nil || overlap == 0 {
				return err
			}
			return c.printf("The one before works until %s.\n", when(time.Now().Add(time.Duration(overlap))))
		})
	})
}

func newLoginDisable(s streams) *cobra.Command {
	return changeLogin(s, "disable NAME", "End a login's clients and refuse it", "disabled", (*client.Client).DisableLogin)
}

func newLoginEnable(s streams) *cobra.Command {
	return changeLogin(s, "enable NAME", "Admit a disabled login again", "enabled", (*client.Client).EnableLogin)
}

func newLoginDelete(s streams) *cobra.Command {
	return changeLogin(s, "delete NAME", "End a login's clients and forget it", "deleted", (*client.Client).DeleteLogin)
}

func changeLogin(s streams, use, short, done string,
	change func(c *client.Client, ctx context.Context, name, tenant string) (client.LoginChanged, error),
) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: exactArgs("NAME")}
	tenant := ofTenant(cmd)
	return talk(s, cmd, func(ctx context.Context, c call) error {
		l, err := change(c.api, ctx, c.args[0], *tenant)
		if err != nil {
			return err
		}
		return c.show(l, func() error {
			return c.printf("login %s of %s is %s; %s\n", l.Login.Name, whose(l.Login), done, c.reached(l.Instances))
		})
	})
}

func newLoginGrant(s streams) *cobra.Command {
	return changeGrants(s, "grant", "Let a service login reach tenants", (*client.Client).Grant)
}

func newLoginRevoke(s streams) *cobra.Command {
	return changeGrants(s, "revoke", "Take tenants back from a service login; its clients there end", (*client.Client).Revoke)
}

func changeGrants(s streams, verb, short string,
	change func(c *client.Client, ctx context.Context, name string, t client.Tenancies) (client.LoginChanged, error),
) *cobra.Command {
	cmd := &cobra.Command{
		Use:     verb + " NAME all|SLUG...",
		Short:   short,
		Example: "  dermaga login " + verb + " journal-api pt-media-nusa pt-satu",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("%s takes a login's name and the tenants' slugs, or all (see: %s --help)", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
	}
	return talk(s, cmd, func(ctx context.Context, c call) error {
		slugs := strings.Split(strings.Join(c.args[1:], ","), ",")
		l, err := change(c.api, ctx, c.args[0], client.Tenancies{Tenants: slugs})
		if err != nil {
			return err
		}
		return c.show(l, func() error {
			return c.printf("login %s of %s; %s\n", l.Login.Name, whose(l.Login), c.reached(l.Instances))
		})
	})
}
