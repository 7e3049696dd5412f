package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

func newRegistry(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Prepare the registry database",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRegistryMigrate(s), newRegistryToken(s))
	return cmd
}

func newRegistryMigrate(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the registry's schema to this version's",
		Args:  noArgs,
	}
	settings := takeSettings(cmd, s, registryGroup)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := settings.resolve("registry-url")
		if err != nil {
			return err
		}
		url := o.registry.url.Reveal()
		before, _, err := migrations.RegistryVersion(cmd.Context(), url)
		if err != nil {
			return err
		}
		if err := migrations.Registry(cmd.Context(), url); err != nil {
			return err
		}
		after, _, err := migrations.RegistryVersion(cmd.Context(), url)
		if err != nil {
			return err
		}
		if before == after {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "registry schema is at version %d already\n", after)
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "registry schema migrated from version %d to %d\n", before, after)
		return err
	}
	return cmd
}

// tokenRoles are what a token can be made for.
var tokenRoles = []registry.TokenRole{registry.Viewer, registry.Operator, registry.Admin}

func newRegistryToken(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Make a token for the admin API and print it, this once",
		Long: `Make a token for the admin API. Roles: viewer reads, operator also provisions,
admin may do everything. NAME is who the activities will name.`,
		Args: exactArgs("NAME"),
	}
	settings := takeSettings(cmd, s, registryGroup, sealingGroup, logGroup)
	role := cmd.Flags().String("role", string(registry.Viewer), "viewer, operator or admin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := settings.resolve("registry-url", "encryption-key-file")
		if err != nil {
			return err
		}
		chosen, err := tokenRole(*role)
		if err != nil {
			return err
		}
		reg, err := openRegistry(cmd.Context(), o, newLog(o, s))
		if err != nil {
			return err
		}
		defer reg.Close()
		token, err := reg.CreateToken(cmd.Context(), args[0], chosen)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Reveal())
		return err
	}
	return cmd
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
