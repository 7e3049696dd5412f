package relay

import (
	"slices"
	"strings"
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A text that may leave something in its session makes its server suspect. The
// server stays with its client, lent, while nobody else needs it; before it goes
// to another, PostgreSQL itself is asked what there is: 0.1 ms, 0.5 ms with all
// settings. What is found is carried, or pins the server, or there is nothing.

// suspicious reports whether c's server must be asked, or wiped, before another
// client has it.
func (c *client) suspicious() bool {
	return len(c.touched) > 0 || c.suspect&(wire.Sticks|wire.Taints) != 0 || c.pins != 0 && c.suspect&wire.Frees != 0
}

// needed reports whether somebody waits for what p's servers could give.
func (l *loop) needed(p *Pool) bool {
	return p.waiting.n > p.auditing || p.tenant.leaving() || l.pressed.Load()
}

// lend leaves s with its client until somebody needs it.
func (l *loop) lend(s *server) {
	if !s.lent {
		s.lent = true
		s.pool.lent = append(s.pool.lent, s)
	}
}

func (l *loop) unlend(s *server) {
	if s.lent {
		s.lent = false
		s.pool.lent = slices.DeleteFunc(s.pool.lent, func(x *server) bool { return x == s })
	}
}

// reclaim takes back the server that has been lent for the longest time, of those
// outside a transaction and quiet since before. It reports whether there was one.
func (l *loop) reclaim(p *Pool, before time.Time) bool {
	for _, s := range p.lent {
		if c := s.client; c.between() && s.cancelling == 0 && !c.at.After(before) {
			l.audit(s)
			return true
		}
	}
	return false
}

// reclaimAll takes back all that can be.
func (l *loop) reclaimAll(p *Pool) {
	for l.reclaim(p, l.clock) {
	}
}

// audit finds out what s's client, between two transactions, has left in it. The
// client does not notice, and may go on sending.
func (l *loop) audit(s *server) {
	c := s.client
	l.unlend(s)
	if !c.suspicious() {
		l.part(s)
		l.again(&c.conn)
		return
	}
	q := question{class: c.suspect, names: c.touched}
	if c.mode != Auto { // only settings are carried, the rest will be wiped
		q.class &= wire.Resets
	}
	q.full = q.class&wire.Hides != 0
	if c.restarts() { // has it been reset? Its value does not tell
		q.full = true
		c.fresh = true // c waits for the answer
	}
	if q.full {
		q.names = slices.DeleteFunc(slices.Clone(q.names), func(name string) bool { return !custom(name) })
		for _, p := range c.extra.list {
			if custom(p.Name) && !slices.Contains(q.names, p.Name) {
				q.names = append(slices.Clip(q.names), p.Name)
			}
		}
	}
	q.state = q.class&wire.Sticks != 0 || c.pins&pinAudited != 0 && q.class&wire.Frees != 0
	q.state = q.state || c.pins&pinTemp != 0 && slices.Contains(q.names, "search_path")
	q.locks = q.class&(wire.Locks|wire.Hides) != 0 || c.pins&pinLock != 0 && q.class&(wire.Unlocks|wire.Frees) != 0
	c.suspect &^= q.class
	c.touched, c.unnamed = nil, false // the question uses the unnamed statement
	s.question, s.rows, s.asked = q, s.rows[:0], time.Now()
	s.auditing = true
	s.pool.auditing++
	s.due.push(owed{due: forAsk})
	l.write(&s.conn, q.appendTo(nil, s.target.Role))
}

// question is what an audit asks for.
type question struct {
	class wire.Class
	names []string // settings
	full  bool     // all settings of the session
	state bool     // what pinAudited names
	locks bool
}

// Every name is qualified, and every operator: the client's search_path and its
// temporary objects apply (the class of CVE-2025-12819).
const (
	namesSQL    = `SELECT 's', n, pg_catalog.current_setting(n, true) FROM pg_catalog.unnest(ARRAY[`
	namesEndSQL = `]::pg_catalog.text[]) n`
	settingsSQL = `SELECT 's', name, setting FROM (SELECT name, pg_catalog.current_setting(name) AS setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session') x`
	// stateSQL is followed by the role that logged in. Cursors without a name are
	// portals of the protocol, such as the one that runs this; what a temporary
	// schema holds depends on it, whatever it is.
	stateSQL = `SELECT 'p', p, NULL FROM (VALUES
 ('prepared statement', EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() WHERE from_sql)),
 ('listen', EXISTS (SELECT FROM pg_catalog.pg_listening_channels())),
 ('cursor with hold', EXISTS (SELECT FROM pg_catalog.pg_cursor() WHERE is_holdable AND name OPERATOR(pg_catalog.<>) '')),
 ('temporary object', pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615 AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())),
 ('role', CURRENT_USER OPERATOR(pg_catalog.<>) SESSION_USER OR SESSION_USER OPERATOR(pg_catalog.<>) `
	stateEndSQL = `::pg_catalog.name)) v (p, yes) WHERE yes`
	locksSQL    = `SELECT 'p', 'advisory lock', NULL WHERE EXISTS (SELECT FROM pg_catalog.pg_lock_status() WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())`
)

// appendTo appends the question, and the Sync behind it.
func (q question) appendTo(b []byte, role string) []byte {
	var sql strings.Builder
	values := slices.Clone(q.names)
	part := func(text string) {
		if sql.Len() > 0 {
			sql.WriteString("\nUNION ALL ")
		}
		sql.WriteString(text)
	}
	if len(values) > 0 {
		part(namesSQL)
		for i := range values {
			if i > 0 {
				sql.WriteByte(',')
			}
			sql.WriteString(wire.Parameter(i + 1))
		}
		sql.WriteString(namesEndSQL)
	}
	if q.full {
		part(settingsSQL)
	}
	if q.state {
		part(stateSQL)
		values = append(values, role)
		sql.WriteString(wire.Parameter(len(values)))
		sql.WriteString(stateEndSQL)
	}
	if q.locks {
		part(locksSQL)
	}
	if sql.Len() == 0 { // taints only: nothing that could be asked
		part("SELECT WHERE false")
	}
	return wire.AppendSelect(b, sql.String(), values)
}

// audited makes what the audit has found the client's own: settings are replayed
// on every server that it gets, other state keeps this one. A question without an
// answer keeps it too, and closes it at the end.
func (l *loop) audited(s *server) {
	c, q := s.client, s.question
	s.auditing = false
	s.pool.auditing--
	s.pool.count.audit.add(time.Since(s.asked))
	found := tainted(q.class)
	if s.refused != nil {
		l.log.Warn("audit", "tenant", s.pool.tenant.Slug, "sqlstate", s.refused.Code)
		s.refused = nil
		l.pin(c, c.pins|found|pinUnknown)
		return
	}
	keep := c.pins
	if q.state {
		keep &^= pinAudited
	}
	if q.locks {
		keep &^= pinLock
	}
	found |= keep
	settings := c.extra.list
	if q.full {
		settings = slices.DeleteFunc(slices.Clone(settings), func(p Param) bool { return !custom(p.Name) })
	}
	for _, row := range s.rows {
		switch {
		case len(row) != 3 || row[0] == nil || row[1] == nil:
		case *row[0] == "p":
			found |= pinNamed(*row[1])
		case !l.carried(s, *row[1]):
		default:
			name := *row[1]
			settings = slices.DeleteFunc(slices.Clone(settings), func(p Param) bool { return p.Name == name })
			_, first := c.begin.extra.get(name)
			reset := first && q.class&wire.Resets != 0 && custom(name) && row[2] != nil && *row[2] == ""
			if row[2] != nil && !reset { // NULL: a custom setting that a rollback has undone
				settings = append(settings, Param{name, *row[2]})
				if name == "search_path" && strings.Contains(*row[2], "pg_temp") { // whatever it makes is temporary
					found |= pinTemp
				}
			}
		}
	}
	s.extra = l.sets.of(settings)
	for _, first := range c.begin.extra.list {
		if q.full && !slices.ContainsFunc(settings, func(p Param) bool { return p.Name == first.Name }) {
			settings = append(slices.Clip(settings), first) // RESET goes back to the startup packet's value
		}
	}
	c.extra = l.sets.of(settings)
	l.pin(c, found)
	if q.class&wire.Hides != 0 {
		s.murky, s.spent = true, s.spent || s.super()
	}
	if c.extra != s.extra && c.pins&pinSetting == 0 {
		c.fresh = true // should it stay, it is told before c's next message
	}
}

// super reports whether s's role may do what nothing takes back, unseen: LOAD, and
// replication slots. No tenant's is.
func (s *server) super() bool {
	super, _ := s.base.get("is_superuser")
	return super == "on"
}

// custom reports whether a setting is in no view.
func custom(name string) bool { return strings.Contains(name, ".") }

// carried reports whether a setting is one to replay by its name.
func (l *loop) carried(s *server, name string) bool {
	switch name {
	case "role", "session_authorization", "is_superuser", "seed":
		return false
	}
	return !reports(s.reported, name) && !strings.HasPrefix(name, "transaction_")
}
