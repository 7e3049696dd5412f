package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/registry"
)

// tokenRoles are what a token can be made for.
var tokenRoles = []registry.TokenRole{registry.Viewer, registry.Operator, registry.Admin}

// tokenActor is who the activities name: whoever reaches the registry itself
// needs no token.
const tokenActor = "dermaga registry"

// onRegistry makes cmd one that works on the registry itself. It is no instance
// that others would wait for.
func onRegistry(s streams, cmd *cobra.Command, do func(ctx context.Context, reg *registry.Registry, args []string) error) *cobra.Command {
	settings := takeSettings(cmd, s, registryGroup, sealingGroup, logGroup)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := settings.resolve("registry-url", "encryption-key-file")
		if err != nil {
			return err
		}
		reg, err := registry.Open(cmd.Context(), registryConfig(o, newLog(o, s)))
		if err != nil {
			return fmt.Errorf("open the registry: %w", err)
		}
		defer reg.Close()
		return do(cmd.Context(), reg, args)
	}
	return cmd
}

func newRegistryToken(s streams) *cobra.Command {
	var role string
	var expires span
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Make a token for the admin API and print it, this once",
		Long: `Make a token for the admin API. Roles: viewer reads; operator also provisions, suspends
and changes tenants and their logins; admin may do everything. NAME is who the
activities will name.`,
		Args: exactArgs("NAME"),
	}
	cmd.Flags().StringVar(&role, "role", string(registry.Viewer), "viewer, operator or admin")
	cmd.Flags().Var(&expires, "expires", "time after which it is refused, such as 12h or 90d (default: never)")
	return onRegistry(s, cmd, func(ctx context.Context, reg *registry.Registry, args []string) error {
		chosen, err := tokenRole(role)
		if err != nil {
			return err
		}
		_, token, err := reg.IssueToken(ctx, registry.NewToken{
			Name: args[0], Role: chosen, TTL: time.Duration(expires), Actor: tokenActor,
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Reveal())
		return err
	})
}

func tokenRole(text string) (registry.TokenRole, error) {
	names := make([]string, len(tokenRoles))
	for i, r := range tokenRoles {
		if string(r) == text {
			return r, nil
		}
		names[i] = string(r)
	}
	return "", usageError{fmt.Errorf("--role=%s: want one of: %s", text, strings.Join(names, ", "))}
}

func newRegistryTokens(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "tokens", Short: "List the tokens of the admin API", Args: noArgs}
	return onRegistry(s, cmd, func(ctx context.Context, reg *registry.Registry, _ []string) error {
		found, err := reg.Tokens(ctx)
		if err != nil {
			return err
		}
		rows := [][]string{{"ID", "NAME", "BEGINS", "ROLE", "CREATED", "EXPIRES", "REVOKED"}}
		for _, t := range found {
			rows = append(rows, []string{
				t.ID, t.Name, t.Prefix, string(t.Role), when(t.CreatedAt), whenever(t.ExpiresAt, "never"), whenever(t.RevokedAt, "-"),
			})
		}
		return printTable(cmd.OutOrStdout(), rows)
	})
}

func newRegistryRevoke(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "revoke ID", Short: "End a token of the admin API at once", Args: exactArgs("ID")}
	return onRegistry(s, cmd, func(ctx context.Context, reg *registry.Registry, args []string) error {
		if err := reg.RevokeToken(ctx, args[0], registry.Act{Actor: tokenActor}); err != nil {
			return err
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "revoked")
		return err
	})
}
