package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/registry"
)

// ownUsage explains the settings that a tenant may have of its own, by name.
var ownUsage = map[string]string{
	"query_timeout":            "a query that takes longer is cancelled",
	"query_wait_timeout":       "longest wait for a server connection",
	"query_wait_notify":        "a client that waits for longer is told so",
	"idle_transaction_timeout": "an open transaction in which the client sends nothing for so long ends, with its client",
	"transaction_timeout":      "a transaction that takes longer ends, with its client",
	"client_idle_timeout":      "a client that sends nothing for so long, outside a transaction, is closed",
	"pin_idle_timeout":         "an idle client that keeps a server connection for so long while others wait is closed",
	"max_pinned":               "clients that may keep a server connection in mode auto",
	"transaction_state":        "clean or refuse what would outlive a transaction in modes transaction and statement",
}

// ownFlags gives cmd a flag for each of these settings. given are the values of
// those on the command line, by name.
func ownFlags(cmd *cobra.Command) (given func() map[string]string) {
	values := map[string]*string{}
	for _, name := range registry.OwnSettings() {
		usage := ownUsage[name] + `; "": the broker's again`
		if strings.HasSuffix(name, "_timeout") || strings.HasSuffix(name, "_notify") {
			usage = ownUsage[name] + `; off: none, "": the broker's again`
		}
		values[name] = cmd.Flags().String(flagOf(name), "", usage)
	}
	return func() map[string]string {
		var given map[string]string
		for name, value := range values {
			if cmd.Flags().Changed(flagOf(name)) {
				if given == nil {
					given = map[string]string{}
				}
				given[name] = *value
			}
		}
		return given
	}
}

func flagOf(setting string) string { return strings.ReplaceAll(setting, "_", "-") }

// ownRows are a tenant's own settings for printTable.
func ownRows(settings map[string]string) (rows [][]string) {
	names := registry.OwnSettings()
	for name := range settings { // of a newer release
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if value, ok := settings[name]; ok {
			rows = append(rows, []string{strings.ReplaceAll(name, "_", " "), value})
		}
	}
	return rows
}
