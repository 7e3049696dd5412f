package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// serveGroups are the settings of `serve`.
var serveGroups = []group{registryGroup, sealingGroup, tenantsGroup, partsGroup, brokerGroup, adminGroup, logGroup}

func newConfig(s streams) *cobra.Command {
	return parent("config", "Look at the settings of serve without starting anything", newConfigShow(s), newConfigCheck(s))
}

// shownSetting is what `config show --json` prints of each setting.
type shownSetting struct {
	Flag     string `json:"flag"`
	Variable string `json:"variable"`
	Value    string `json:"value"` // "[redacted]" of a secret that is set
	From     string `json:"from"`  // flag, variable, default or "not set"
}

func newConfigShow(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show", Short: "Print every setting of serve, its value and where that comes from", Args: noArgs,
	}
	settings := takeSettings(cmd, s, serveGroups...)
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for programs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all := settings.show()
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), all)
		}
		rows := [][]string{{"FLAG", "VARIABLE", "VALUE", "FROM"}}
		for _, x := range all {
			rows = append(rows, []string{"--" + x.Flag, x.Variable, orText(x.Value, "-"), x.From})
		}
		return printTable(cmd.OutOrStdout(), rows)
	}
	return cmd
}

func (k *knobs) show() []shownSetting {
	all := make([]shownSetting, 0, len(k.list))
	for _, s := range k.list {
		text, _, err := k.read(s)
		x := shownSetting{Flag: s.flag, Variable: s.env, Value: text, From: k.source(s)}
		switch {
		case err != nil:
			x.Value = err.Error()
		case text == "":
			x.Value = s.defDoc
		case s.secret:
			x.Value = "[redacted]"
		}
		all = append(all, x)
	}
	return all
}

// source says where the value of s comes from.
func (k *knobs) source(s setting) string {
	if k.given[s.flag].given {
		return "flag"
	}
	if text, ok := k.env(s.env); ok && text != "" {
		return "variable"
	}
	if s.def == "" && s.defDoc == "" {
		return "not set"
	}
	return "default"
}

func newConfigCheck(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Report all that is wrong with the settings of serve", Args: noArgs,
	}
	settings := takeSettings(cmd, s, serveGroups...).refuseUnknown()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := settings.resolveServe()
		if err != nil {
			return err
		}
		if _, err := brokerConfig(o, nil); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the settings are right")
		return err
	}
	return cmd
}

// resolveServe is resolve for `serve`, with what one setting demands of another.
func (k *knobs) resolveServe() (options, error) {
	o, faults := k.parse("registry-url", "encryption-key-file")
	return o, usageFaults(append(faults, o.contradictions()...))
}

// contradictions are settings that are right alone and wrong together.
func (o options) contradictions() (faults []error) {
	b := o.broker
	refuse := func(broken bool, text string) {
		if broken {
			faults = append(faults, errors.New(text))
		}
	}
	refuse(o.parts.noAdmin && o.parts.noBroker, "--no-admin and --no-broker leave nothing to run")
	refuse(b.requireTLS && (b.tlsCert == "" || b.tlsKey == ""),
		"--require-tls without a certificate would refuse everybody: give --tls-cert and --tls-key")
	refuse((b.tlsCert == "") != (b.tlsKey == ""), "--tls-cert and --tls-key belong together: give both")
	refuse(!o.parts.noBroker && b.peerAdvertise == "" && unspecified(b.peerListen),
		"--peer-listen="+b.peerListen+" is no address that others could reach: say with --peer-advertise which one is")
	return faults
}
