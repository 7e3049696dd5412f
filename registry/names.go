package registry

import (
	"fmt"
	"strings"
)

// DefaultPrefix stands before a tenant's slug in its database's name.
const DefaultPrefix = "nusa_journal_"

// maxIdentifier is NAMEDATALEN - 1: PostgreSQL cuts longer names silently.
const maxIdentifier = 63

// DatabaseName is the name a new tenant's database gets: prefix and slug, with
// _ for -. A slug has no _, so two slugs never give one name.
func DatabaseName(prefix, slug string) string {
	return prefix + strings.ReplaceAll(slug, "-", "_")
}

// Roles are the names of a tenant's login roles at its PostgreSQL server.
type Roles struct {
	App, ReadOnly string
	Owner         string // "": it has none
}

// RoleNames returns the roles of a new tenant, whose credentials are of the first
// generation.
func RoleNames(tenantID string) Roles {
	return Roles{App: RoleName(tenantID, App, 1), ReadOnly: RoleName(tenantID, ReadOnly, 1)}
}

// All returns the roles that there are.
func (r Roles) All() []string {
	all := []string{r.App, r.ReadOnly}
	if r.Owner != "" {
		all = append(all, r.Owner)
	}
	return all
}

// RoleName is the role that a tenant's credential of this generation logs in
// with. It comes from the id, since PostgreSQL would cut two long slugs to one
// name, and since every tenant can read all role names. Two roles take turns,
// so that a rotation never refuses a login.
func RoleName(tenantID string, kind RoleKind, generation int) string {
	suffix := map[RoleKind]string{Owner: "owner", App: "app", ReadOnly: "ro"}[kind]
	return fmt.Sprintf("t_%s_%s_%d", strings.ReplaceAll(tenantID, "-", ""), suffix, 2-generation%2)
}
