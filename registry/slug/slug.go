// Package slug holds the one rule for the names of tenants. The registry's
// CHECK constraint says the same in SQL, and a test holds the two together.
//
// It imports the standard library only, so that a client library can carry it.
package slug

import (
	"fmt"
	"slices"
)

// MaxLen is the greatest length of a slug in bytes. With the default prefix
// nusa_journal_ (13) a database name stays within PostgreSQL's 63.
const MaxLen = 49

// Rule says in one sentence what a slug is, for help texts and API errors.
const Rule = "a slug has 1 to 49 characters of a-z, 0-9 and -, starts and ends with a letter or digit, has no -- and is not a reserved word"

// reserved words are paths of the admin API, names the console answers to, or
// databases that PostgreSQL itself owns.
var reserved = []string{
	"admin", "api", "auth", "dermaga", "health", "metrics", "pgbouncer",
	"postgres", "ready", "static", "template0", "template1", "v1",
}

// Reserved returns the words that no tenant may have, in alphabetical order.
func Reserved() []string { return slices.Clone(reserved) }

// Check returns nil if s is a slug, or else an error that names the value and
// the part of the rule that it breaks. Safe for concurrent use.
func Check(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("slug is empty: it must have 1 to %d characters", MaxLen)
	case len(s) > MaxLen:
		return fmt.Errorf("slug %.60q has %d bytes: at most %d are allowed", s, len(s), MaxLen)
	}
	for _, r := range s {
		if !letterOrDigit(r) && r != '-' {
			return fmt.Errorf("slug %q has the character %q: only a-z, 0-9 and - are allowed", s, r)
		}
	}
	switch {
	case s[0] == '-':
		return fmt.Errorf("slug %q starts with -: it must start with a letter or digit", s)
	case s[len(s)-1] == '-':
		return fmt.Errorf("slug %q ends with -: it must end with a letter or digit", s)
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '-' && s[i-1] == '-' {
			return fmt.Errorf("slug %q has --: two hyphens may not follow each other", s)
		}
	}
	if slices.Contains(reserved, s) {
		return fmt.Errorf("slug %q is reserved: choose another word", s)
	}
	return nil
}

func letterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
}
