package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/migrations"
)

func newRegistry(s streams) *cobra.Command {
	return parent("registry", "Prepare the registry database, make and end tokens of the admin API",
		newRegistryMigrate(s), newRegistryToken(s), newRegistryTokens(s), newRegistryRevoke(s))
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
