package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variablePrefix is what our own variables begin with. Those of the first version,
// such as MAX_CONNECTIONS, do not, and nobody could tell a mistyped one from
// another program's.
const variablePrefix = "DERMAGA_"

// unknown finds flags, and variables with our prefix, that are no settings. Of
// the variables only those are refused that look like a mistyped one: others may
// have a reason to be there (Kubernetes makes DERMAGA_PORT of a service's name).
func (k *knobs) unknown() (faults []error) {
	if !k.strict {
		return nil
	}
	known := flagNames(k.cmd)
	for _, flag := range strayFlags(k.cmd, k.args) {
		hint := didYouMean(flag, known)
		if hint == "" {
			hint = " (see: " + k.cmd.CommandPath() + " --help)"
		}
		faults = append(faults, fmt.Errorf("unknown flag: %s%s", flag, hint))
	}
	if k.environ == nil {
		return faults
	}
	variables := make([]string, len(table))
	for i, s := range table {
		variables[i] = s.env
	}
	for _, pair := range k.environ() {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" || !strings.HasPrefix(name, variablePrefix) || slices.Contains(variables, name) {
			continue
		}
		if hint := didYouMean(name, variables); hint != "" {
			faults = append(faults, fmt.Errorf("unknown variable: %s%s", name, hint))
		}
	}
	return faults
}

// refuseUnknown has resolve report unknown flags and variables with all other
// faults, in place of cobra, which stops at the first.
func (k *knobs) refuseUnknown() *knobs {
	k.strict = true
	k.cmd.FParseErrWhitelist.UnknownFlags = true
	return k
}

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}

// strayFlags are the flags on the command line that cmd does not have.
func strayFlags(cmd *cobra.Command, args []string) (stray []string) {
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		name, _, assigned := strings.Cut(args[i], "=")
		switch {
		case name == "-" || name == "-h" || !strings.HasPrefix(name, "-"):
			continue
		case !strings.HasPrefix(name, "--"): // we have no short flags but -h
			stray = append(stray, name)
			continue
		}
		f := cmd.Flags().Lookup(name[2:])
		switch {
		case f == nil:
			stray = append(stray, name)
		case f.NoOptDefVal == "" && !assigned:
			i++ // its value
		}
	}
	return stray
}

// didYouMean names the candidate that text was probably meant to be, or nothing.
// Our prefix does not count: many variables have it in common, and who gives it to
// MAX_CONNECTIONS means that one.
func didYouMean(text string, candidates []string) string {
	text = strings.TrimPrefix(text, variablePrefix)
	best, least := "", max(2, len(text)/4)+1
	for _, c := range candidates {
		if d := distance(text, strings.TrimPrefix(c, variablePrefix)); d < least {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// distance is how many characters must be added, left out or replaced to make b
// of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
