package docs_test

import (
	"regexp"
	"strings"
)

// matches reports whether a command has printed what the page shows. Spaces at the
// end of a line are nobody's concern, nor are empty lines at the end.
func matches(shown, printed string) bool {
	return pattern(shown).MatchString(trim(printed))
}

// pattern is shown as a regular expression, in which … is anything.
func pattern(shown string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for i, line := range strings.Split(trim(shown), "\n") {
		switch {
		case line == "…":
			b.WriteString(`(\n?[^\n]*)*?`)
		default:
			if i > 0 {
				b.WriteString(`\n`)
			}
			for j, text := range strings.Split(line, "…") {
				if j > 0 {
					b.WriteString(`[^\n]*?`)
				}
				b.WriteString(regexp.QuoteMeta(text))
			}
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func trim(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
