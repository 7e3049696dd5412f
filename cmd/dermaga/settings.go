package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// A setting is one knob, declared once in settings_table.go: from it come the
// flag, the environment variable, the --help line and the row in
// docs/settings.md.
type setting struct {
	group group
	flag  string
	env   string
	def   string // as it would be typed; "" is said to be unset
	doc   string // one line: meaning, unit, danger

	// defDoc replaces def in the documentation where the default depends on
	// the machine.
	defDoc string

	// secret values are never printed, not even in the message that refuses
	// them.
	secret bool

	// fromFile says that the flag names a file which holds the value, because
	// flags show in the process list. The variable holds the value itself.
	fromFile bool

	parse parser
}

// A group is a set of settings that commands take together; its text is the
// heading in the documentation.
type group string

const (
	registryGroup group = "Registry database"
	sealingGroup  group = "Registry key and cache"
	tenantsGroup  group = "Tenant databases"
	partsGroup    group = "What runs"
	brokerGroup   group = "Broker"
	adminGroup    group = "Admin API"
	logGroup      group = "Log"
	devGroup      group = "dermaga dev"
	clientGroup   group = "Commands that speak to the admin API"
	dataGroup     group = "Data folder"
)

// options are the values of all settings, parsed. A command sees the defaults
// for the groups that it does not take.
type options struct {
	registry registryOptions
	tenants  tenantsOptions
	parts    partsOptions
	broker   brokerOptions
	admin    adminOptions
	log      logOptions
	dev      devOptions
	client   clientOptions
	dataDir  string
	usualDir bool // nobody named dataDir: commands find it without being told
}

// flagText is a flag's value as typed. It refuses nothing: resolve parses all
// settings together, so that all faults are reported at once.
type flagText struct {
	kind  string
	text  string
	given bool
}

func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return f.kind }

func (f *flagText) Set(text string) error {
	f.text, f.given = text, true
	return nil
}

// knobs are the settings of one command, with what the command line said.
type knobs struct {
	streams
	cmd   *cobra.Command
	given map[string]*flagText // by flag
	list  []setting

	// strict has resolve refuse what looks like a setting and is none.
	strict bool
}

// takeSettings gives cmd the flags of groups.
func takeSettings(cmd *cobra.Command, s streams, groups ...group) *knobs {
	k := &knobs{streams: s, cmd: cmd, given: map[string]*flagText{}}
	for _, g := range groups {
		for _, one := range table {
			if one.group != g {
				continue
			}
			f := &flagText{kind: one.parse.kind, text: one.def}
			flag := cmd.Flags().VarPF(f, one.flag, "", one.usage())
			if one.parse.kind == "" { // may stand without a value
				f.kind, flag.NoOptDefVal, flag.DefValue = "bool", "true", "false"
			}
			k.given[one.flag] = f
			k.list = append(k.list, one)
		}
	}
	return k
}

// usage is the setting's line in --help.
func (s setting) usage() string {
	if s.env == "" {
		return s.doc
	}
	return fmt.Sprintf("%s ($%s)", s.doc, s.env)
}

// resolve parses every setting, the flag before the variable before the
// default. required names flags that must have a value. The error names every
// fault with the value and what would be right.
func (k *knobs) resolve(required ...string) (options, error) {
	o, faults := k.parse(required...)
	return o, usageFaults(faults)
}

func (k *knobs) parse(required ...string) (o options, faults []error) {
	for _, s := range table {
		if s.def != "" {
			if err := s.parse.into(&o, s.def); err != nil {
				faults = append(faults, fmt.Errorf("default of --%s: %w", s.flag, err))
			}
		}
	}
	faults = append(faults, k.unknown()...)
	for _, s := range k.list {
		text, origin, err := k.read(s)
		switch {
		case err != nil:
			faults = append(faults, err)
		case text == "" && slices.Contains(required, s.flag):
			faults = append(faults, fmt.Errorf("%s is not set: %s", s.name(), s.doc))
		case text != "":
			if err := s.parse.into(&o, text); err != nil {
				faults = append(faults, s.fault(origin, text, err))
			}
		}
	}
	return o, faults
}

// read finds the text of s and where it came from.
func (k *knobs) read(s setting) (text, origin string, err error) {
	if f := k.given[s.flag]; f.given {
		if !s.fromFile {
			return f.text, "--" + s.flag, nil
		}
		text, err := readSecretFile(f.text)
		if err != nil {
			return "", "", fmt.Errorf("--%s: %w", s.flag, err)
		}
		return text, "--" + s.flag, nil
	}
	if s.env != "" {
		if text, ok := k.env(s.env); ok && text != "" {
			return text, s.env, nil
		}
	}
	return s.def, "default of --" + s.flag, nil
}

// name is how a message speaks of a setting that nobody gave.
func (s setting) name() string {
	if s.env == "" {
		return "--" + s.flag
	}
	return fmt.Sprintf("%s (--%s)", s.env, s.flag)
}

func (s setting) fault(origin, text string, err error) error {
	if strings.HasPrefix(err.Error(), origin) {
		return err // says it itself
	}
	if s.secret {
		return fmt.Errorf("%s: %w", origin, err)
	}
	return fmt.Errorf("%s=%s: %w", origin, text, err)
}

// usageFaults joins faults into one error with a line for each.
func usageFaults(faults []error) error {
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return usageError{faults[0]}
	}
	return usageError{fmt.Errorf("%d settings are wrong:\n%w", len(faults), indent(faults))}
}

type indented []error

func indent(errs []error) error { return indented(errs) }

func (e indented) Unwrap() []error { return e }

func (e indented) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = "  " + err.Error()
	}
	return strings.Join(lines, "\n")
}
