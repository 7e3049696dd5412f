package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func newTenantSet(s streams) *cobra.Command {
	var plan, poolMode string
	var poolSize, minPoolSize, maxClients int
	cmd := &cobra.Command{
		Use:   "set SLUG",
		Short: "Change a tenant's plan, limits and settings",
		Long: `Change a tenant's plan, limits and settings; what is not given stays as it is. The brokers act on
it within a second. Settings of PostgreSQL that the plan has, such as statement_timeout,
hold for the server connections that are opened from then on.`,
		Example: "  dermaga tenant set pt-media-nusa --plan BUSINESS --pool-size 0 --idle-transaction-timeout 30s",
		Args:    exactArgs("SLUG"),
	}
	flags := cmd.Flags()
	flags.StringVar(&plan, "plan", "", "STARTER, BUSINESS or ENTERPRISE")
	flags.IntVar(&poolSize, "pool-size", 0, "server connections its clients share; 0: the plan's again")
	flags.IntVar(&minPoolSize, "min-pool-size", 0, "server connections kept open; 0: none")
	flags.StringVar(&poolMode, "pool-mode", "", strings.Join(registry.PoolModes, ", ")+`; "": the broker's default again`)
	flags.IntVar(&maxClients, "max-clients", 0, "clients at the same time; 0: the plan's again")
	own := ownFlags(cmd)
	return talk(s, cmd, func(ctx context.Context, c call) error {
		change := client.TenantChange{
			Plan:     plan,
			PoolSize: ifGiven(cmd, "pool-size", &poolSize), MinPoolSize: ifGiven(cmd, "min-pool-size", &minPoolSize),
			PoolMode: ifGiven(cmd, "pool-mode", &poolMode), MaxClients: ifGiven(cmd, "max-clients", &maxClients),
			Settings: own(),
		}
		if reflect.ValueOf(change).IsZero() {
			return usageError{fmt.Errorf("nothing to change (see: %s --help)", cmd.CommandPath())}
		}
		t, err := c.api.SetTenant(ctx, c.args[0], change)
		if err != nil {
			return err
		}
		return c.show(t, func() error { return printTenant(c.out, t, nil) })
	})
}

// ifGiven is v if the flag was on the command line, else nil.
func ifGiven[T any](cmd *cobra.Command, flag string, v *T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return v
}

func newTenantSuspend(s streams) *cobra.Command {
	return newMove(s, "suspend SLUG", "End a tenant's clients and let none in",
		`End a tenant's clients, each after its running transaction, and let none in. After the
brokers have acknowledged it, or a second, PostgreSQL itself ends what is left.`,
		(*client.Client).SuspendTenant)
}

func newTenantResume(s streams) *cobra.Command {
	return newMove(s, "resume SLUG", "Let a suspended tenant's clients in again", "", (*client.Client).ResumeTenant)
}

func newTenantRestore(s streams) *cobra.Command {
	return newMove(s, "restore SLUG", "Make a deleted tenant a suspended one, within its grace period",
		"Make a deleted tenant a suspended one, within its grace period. Look at it, then: dermaga tenant resume SLUG",
		(*client.Client).RestoreTenant)
}

func newMove(s streams, use, short, long string,
	move func(*client.Client, context.Context, string, client.Reason) (client.Moved, error),
) *cobra.Command {
	var why client.Reason
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: exactArgs("SLUG")}
	cmd.Flags().StringVar(&why.Reason, "reason", "", "why, for the activities and, of a suspension, for its clients")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		moved, err := move(c.api, ctx, c.args[0], why)
		if err != nil {
			return err
		}
		return c.moved(moved)
	})
}

func newTenantDelete(s streams) *cobra.Command {
	var d client.Deletion
	var grace span
	cmd := &cobra.Command{
		Use:   "delete SLUG",
		Short: "Make a tenant unknown to clients; it can be restored for a while",
		Long: `Make a tenant unknown to clients. Its data stays for the grace period, seven days unless
told otherwise, in which dermaga tenant restore SLUG takes it back.`,
		Args: exactArgs("SLUG"),
	}
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why, for the activities")
	cmd.Flags().Var(&grace, "grace", "how long it can be restored, such as 12h or 30d (default: 7d)")
	return talk(s, cmd, func(ctx context.Context, c call) error {
		d.GraceSeconds = grace.seconds()
		moved, err := c.api.DeleteTenant(ctx, c.args[0], d)
		if err != nil {
			return err
		}
		return c.moved(moved)
	})
}

// moved tells what has become of a tenant. If its server could not be told, the
// command has failed although the status holds.
func (c call) moved(m client.Moved) error {
	err := c.show(m, func() error {
		t := m.Tenant
		text := fmt.Sprintf("tenant %s is %s", t.Slug, t.Status)
		if t.StatusReason != "" {
			text += ": " + t.StatusReason
		}
		if t.PurgeAfter != nil {
			text += ", to be restored until " + when(*t.PurgeAfter)
		}
		text += "\n" + c.reached(m.Instances)
		if m.Fence.Closed {
			text += fmt.Sprintf("; server %s lets nobody in, %d session(s) ended there", t.Server, m.Fence.SessionsEnded)
		}
		return c.printf("%s\n", text)
	})
	if err == nil && m.Fence.Error != "" {
		err = errors.New(m.Fence.Error + ": the status holds at the brokers; repeat the command for the server")
	}
	return err
}

func newTenantPassword(s streams) *cobra.Command {
	var overlap span
	reset := &cobra.Command{
		Use:   "reset SLUG",
		Short: "Give the tenant's login a new password and print its connection URL",
		Args:  exactArgs("SLUG"),
	}
	reset.Flags().Var(&overlap, "overlap", "how long the password before still works (default: not at all)")
	return parent("password", "Passwords of tenants", talk(s, reset, func(ctx context.Context, c call) error {
		l, err := c.api.ResetPassword(ctx, c.args[0], client.Rotation{OverlapSeconds: overlap.seconds()})
		if err != nil {
			return err
		}
		return c.show(l, func() error { return c.printPassword(l) })
	}))
}
