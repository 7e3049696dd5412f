package provision

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// tempFileLimit is a setting that only a superuser, or whom one granted it to,
// may set for a role: the one among these that the role cannot lift itself.
const tempFileLimit = "temp_file_limit"

// setLimits gives the tenant's roles the plan's limits as settings. All but
// temp_file_limit are defaults, which a session can change: the limits that
// hold are CONNECTION LIMIT, grants and the broker's own.
func setLimits(ctx context.Context, j *Job) error {
	conn, err := j.asAdmin(ctx)
	if err != nil {
		return err
	}
	var mayLimitFiles bool
	const ask = `SELECT has_parameter_privilege(current_user, 'temp_file_limit', 'SET')`
	if err := conn.QueryRow(ctx, ask).Scan(&mayLimitFiles); err != nil {
		return fmt.Errorf("ask for the right to set %s: %w", tempFileLimit, err)
	}
	for _, s := range j.settings() {
		if s.name == tempFileLimit && !mayLimitFiles {
			j.deps.Log.Warn(eventUnlimited, keyTenant, j.tenant.Slug, keyServer, j.server.Name,
				keyAdvice, "as a superuser, GRANT SET ON PARAMETER temp_file_limit to the admin role")
			continue
		}
		change := " RESET " + s.name
		if s.value != "" {
			change = " SET " + s.name + " = " + quoteLiteral(s.value)
		}
		_, err := conn.Exec(ctx, "ALTER ROLE "+quote(s.role)+" IN DATABASE "+quote(j.tenant.Database)+change)
		if err != nil {
			return fmt.Errorf("set %s of role %s: %w", s.name, s.role, err)
		}
	}
	return nil
}

// A roleSetting with no value is taken back.
type roleSetting struct{ role, name, value string }

// settings are those of all roles. A limit that the plan does not have is left to
// the server's own configuration. The owner's statements are migrations, which
// may take longer than a client's.
func (j *Job) settings() []roleSetting {
	var list []roleSetting
	for _, role := range j.roles.All() {
		if role != j.roles.Owner {
			list = append(list, roleSetting{role, "statement_timeout", milliseconds(j.plan.StatementTimeout)})
		}
		list = append(list,
			roleSetting{role, "idle_in_transaction_session_timeout", milliseconds(j.plan.IdleInTransaction)},
			roleSetting{role, "work_mem", kilobytes(j.plan.WorkMemBytes)},
			roleSetting{role, tempFileLimit, kilobytes(j.plan.TempFileBytes)},
		)
	}
	return append(list, roleSetting{j.roles.ReadOnly, "default_transaction_read_only", "on"})
}

func milliseconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

func kilobytes(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n>>10, 10) + "kB"
}
