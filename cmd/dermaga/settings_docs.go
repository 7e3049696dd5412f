package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

//go:generate sh -c "go run . settings > ../../docs/settings.md && go run . settings --env > ../../.env.example"

// groups is the order of the documentation, and what takes each group.
var groups = []struct {
	group    group
	commands string
}{
	{registryGroup, "serve, registry"},
	{sealingGroup, "serve, registry token"},
	{tenantsGroup, "serve"},
	{partsGroup, "serve"},
	{brokerGroup, "serve, dev"},
	{adminGroup, "serve, dev"},
	{logGroup, "serve, dev, registry token"},
	{devGroup, "dev"},
	{dataGroup, "dev, and all that speak to the admin API"},
	{clientGroup, "tenant, login, server, stats, activities, disconnect"},
}

// newSettings prints the documentation that is made of the table; hidden, since
// it is for `go generate`.
func newSettings() *cobra.Command {
	cmd := &cobra.Command{Use: "settings", Hidden: true, Args: noArgs}
	env := cmd.Flags().Bool("env", false, "print .env.example")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text := settingsMarkdown()
		if *env {
			text = envExample()
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

func settingsMarkdown() string {
	var b strings.Builder
	b.WriteString(`# Settings

<!-- Made from cmd/dermaga/settings_table.go by: go generate ./cmd/dermaga -->

Every setting is a flag and an environment variable; the flag wins. All faults are
reported at once, with the value and what would be right, and so are a flag or a
variable DERMAGA_… that is none of these, with the one that was probably meant.
` + "`dermaga config check`" + ` looks without starting anything, ` + "`dermaga config show`" + ` tells each
value and where it comes from. Durations are written 30m, 90s or 1500ms; a bare
number counts milliseconds.
`)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\nCommands: %s.\n\n", g.group, g.commands)
		b.WriteString("| flag | variable | default | meaning |\n|---|---|---|---|\n")
		for _, s := range table {
			if s.group == g.group {
				fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", s.flag, s.env, s.shownDefault(), strings.ReplaceAll(s.doc, "|", `\|`))
			}
		}
	}
	return b.String()
}

func (s setting) shownDefault() string {
	switch {
	case s.defDoc != "":
		return s.defDoc
	case s.def != "":
		return "`" + s.def + "`"
	}
	return "none"
}

// examples stand in .env.example for settings without a default.
var examples = map[string]string{
	"REGISTRY_DATABASE_URL": "postgresql://dermaga:PASSWORD@localhost:5432/nusa_registry?schema=public",
	"DATABASE_URL":          "postgresql://postgres:PASSWORD@localhost:5432/postgres?schema=public",
	"TENANT_DB_HOST":        "localhost",
	"TENANT_DB_PORT":        "5432",
	"ENCRYPTION_KEY":        "CHANGE-ME",
}

// envExample is the file to copy: what `dermaga serve` needs, and the rest as
// comments with the defaults.
func envExample() string {
	var b strings.Builder
	b.WriteString(`# Copy to .env and fill in; docs/settings.md tells all. ` + "`dermaga dev`" + ` needs none of it.
# Made from cmd/dermaga/settings_table.go by: go generate ./cmd/dermaga
`)
	for _, g := range groups {
		if g.group == devGroup || g.group == dataGroup || g.group == clientGroup {
			continue
		}
		fmt.Fprintf(&b, "\n# %s\n", g.group)
		for _, s := range table {
			if s.group != g.group {
				continue
			}
			fmt.Fprintf(&b, "# %s\n", s.doc)
			if example, ok := examples[s.env]; ok {
				fmt.Fprintf(&b, "%s=%s\n", s.env, example)
			} else {
				fmt.Fprintf(&b, "#%s=%s\n", s.env, s.def)
			}
		}
	}
	return b.String()
}
