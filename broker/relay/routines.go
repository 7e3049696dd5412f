package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/nusajournal/dermaga/broker/wire"
)

// routines are those of a database that leave state behind when they run: their
// names, since that is how a text calls them. It never changes.
type routines struct {
	names map[string]effect // only of those that leave something
	// implicit is the effect of what runs without being named: by a rule, a view, a
	// policy, a domain, an operator or a cast; written, of what runs so where rows
	// are written: by a trigger, a default, a constraint or an index.
	implicit, written effect
	// writers are the routines that write.
	writers map[string]bool
}

// harmless are extensions whose routines, though written in C, leave nothing in a
// session. Those of others are taken to leave something where a text names them.
const harmless = `'btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch', 'hstore', 'intarray', 'isn',
 'ltree', 'pg_stat_statements', 'pg_trgm', 'pgcrypto', 'plpgsql', 'postgis', 'seg', 'tablefunc', 'unaccent', 'uuid-ossp', 'vector'`

// routinesSQL lists the database's own routines, with their text where that can
// be read, and whether something calls them that a query's text does not show.
// Behind them, under the empty name, come the texts of views, rules, policies,
// defaults, constraints, indexes and triggers that call one of PostgreSQL's own
// functions that leave state: pg_depend does not tell of those. Views over
// pg_settings can be updated, which sets. Every name is qualified, since a
// client's search_path may apply.
const routinesSQL = `
SELECT p.proname,
 CASE WHEN l.lanname OPERATOR(pg_catalog.=) ANY (ARRAY['sql', 'plpgsql']) THEN
  pg_catalog.concat(CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_catalog.pg_get_function_sqlbody(p.oid) END, '; ', pg_catalog.pg_get_expr(p.proargdefaults, 0)) END,
 CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
   AND d.refobjid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'n'
   AND d.classid OPERATOR(pg_catalog.<>) ALL (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_trigger', 'pg_catalog.pg_attrdef']::pg_catalog.regclass[])) THEN 'any'
  WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid OPERATOR(pg_catalog.=) p.oid)
   OR EXISTS (SELECT FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) a.oid
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.refobjid OPERATOR(pg_catalog.=) p.oid) THEN 'write'
  ELSE 'named' END
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384 AND NOT EXISTS (
 SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
 WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) p.oid
  AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) ANY (ARRAY[` + harmless + `]))
UNION ALL SELECT c.relname, 'update pg_settings', 'named' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) c.oid
 JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) r.oid
  AND d.refobjid OPERATOR(pg_catalog.=) 'pg_catalog.pg_settings'::pg_catalog.regclass
 WHERE c.oid OPERATOR(pg_catalog.>=) 16384
UNION ALL SELECT '', x.text, x.runs FROM (
 SELECT pg_catalog.pg_get_ruledef(oid), ev_action::pg_catalog.text, 'any' FROM pg_catalog.pg_rewrite WHERE oid OPERATOR(pg_catalog.>=) 16384
 UNION ALL SELECT pg_catalog.pg_get_expr(adbin, adrelid), adbin::pg_catalog.text, 'write' FROM pg_catalog.pg_attrdef WHERE oid OPERATOR(pg_catalog.>=) 16384
 UNION ALL SELECT pg_catalog.concat(pg_catalog.pg_get_expr(polqual, polrelid), ' ', pg_catalog.pg_get_expr(polwithcheck, polrelid)), pg_catalog.concat(polqual, polwithcheck), 'any' FROM pg_catalog.pg_policy
 UNION ALL SELECT pg_catalog.pg_get_constraintdef(oid), conbin::pg_catalog.text, CASE WHEN contypid OPERATOR(pg_catalog.=) 0 THEN 'write' ELSE 'any' END FROM pg_catalog.pg_constraint WHERE oid OPERATOR(pg_catalog.>=) 16384 AND conbin IS NOT NULL
 UNION ALL SELECT pg_catalog.pg_get_indexdef(indexrelid), pg_catalog.concat(indexprs, indpred), 'write' FROM pg_catalog.pg_index WHERE indexrelid OPERATOR(pg_catalog.>=) 16384 AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
 UNION ALL SELECT pg_catalog.pg_get_triggerdef(oid), tgqual::pg_catalog.text, 'write' FROM pg_catalog.pg_trigger WHERE oid OPERATOR(pg_catalog.>=) 16384 AND tgqual IS NOT NULL
) x (text, tree, runs)
WHERE x.tree OPERATOR(pg_catalog.~) (SELECT pg_catalog.concat(':funcid (', pg_catalog.string_agg(oid::pg_catalog.text, '|'), ')\M') FROM pg_catalog.pg_proc
 WHERE pronamespace OPERATOR(pg_catalog.=) 11 AND proname OPERATOR(pg_catalog.=) ANY (ARRAY['set_config', 'setseed', 'lastval', 'currval', 'pg_advisory_lock', 'pg_advisory_lock_shared',
  'pg_try_advisory_lock', 'pg_try_advisory_lock_shared', 'pg_create_logical_replication_slot', 'pg_create_physical_replication_slot', 'pg_replication_origin_session_setup']))`

// scanTimeout bounds the look at a database's routines: 0.7 ms for the journal's.
const scanTimeout = 10 * time.Second

// scan asks a server that has just logged in for its database's routines. It runs
// in the goroutine that dialled, before a loop has the connection.
func scan(ctx context.Context, conn net.Conn) (*routines, error) {
	deadline := time.Now().Add(scanTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("look at routines: %w", err)
	}
	if _, err := conn.Write(wire.AppendQuery(nil, routinesSQL)); err != nil {
		return nil, fmt.Errorf("look at routines: %w", err)
	}
	var rows [][]*string
	for {
		kind, body, err := receive(conn)
		if err != nil {
			return nil, fmt.Errorf("look at routines: %w", err)
		}
		switch kind {
		case wire.DataRow:
			if row, ok := columns(body); ok {
				rows = append(rows, row)
			}
		case wire.Error:
			f := wire.ParseError(body)
			return nil, fmt.Errorf("look at routines: %s (SQLSTATE %s)", f.Message, f.Code)
		case wire.ReadyForQuery:
			return judge(routinesOf(rows)), conn.SetDeadline(time.Time{})
		}
	}
}

// receive reads one message and nothing beyond it.
func receive(conn net.Conn) (kind byte, body []byte, err error) {
	var header [wire.HeaderLen]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return 0, nil, err
	}
	kind, total, _ := wire.Next(header[:])
	if total == 0 || total > 64<<20 {
		return 0, nil, errors.New("impossible length")
	}
	body = make([]byte, total-wire.HeaderLen)
	_, err = io.ReadFull(conn, body)
	return kind, body, err
}

// routine is one row of routinesSQL.
type routine struct {
	name string
	body *string // nil: not written in a language that can be read
	runs string  // also without being named: by any text, or by one that writes
}

func routinesOf(rows [][]*string) (found []routine) {
	for _, row := range rows {
		if len(row) == 3 && row[0] != nil && row[2] != nil {
			found = append(found, routine{*row[0], row[1], *row[2]})
		}
	}
	return found
}

// columns are the values of a DataRow; nil is NULL.
func columns(row []byte) (values []*string, ok bool) {
	if len(row) < 2 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(row))
	row = row[2:]
	for range n {
		if len(row) < 4 {
			return nil, false
		}
		length := int(int32(binary.BigEndian.Uint32(row)))
		row = row[4:]
		if length < 0 {
			values = append(values, nil)
			continue
		}
		if length > len(row) {
			return nil, false
		}
		value := string(row[:length])
		values, row = append(values, &value), row[length:]
	}
	return values, true
}

// judge finds out which routines leave state behind: by what they do, or by
// calling others that do.
func judge(found []routine) *routines {
	rs := &routines{names: map[string]effect{}, writers: map[string]bool{}}
	for grown := true; grown; {
		grown = false
		for _, r := range found {
			before := rs.names[r.name]
			after := before.and(rs.of(r))
			if after.class != before.class || len(after.sets) != len(before.sets) {
				rs.names[r.name], grown = after, true
			}
			if !rs.writers[r.name] && (r.body == nil || rs.writes([]byte(*r.body), false)) {
				rs.writers[r.name], grown = true, true
			}
		}
	}
	for _, r := range found {
		e := rs.names[r.name]
		if r.name == "" {
			e = rs.of(r)
		}
		e.class &^= wire.Blind // or every text would keep its server
		switch r.runs {
		case "any":
			rs.implicit = rs.implicit.and(e)
		case "write":
			rs.written = rs.written.and(e)
		}
	}
	return rs
}

// of is what r does, by what is known of the others so far.
func (rs *routines) of(r routine) effect {
	if r.body == nil {
		return effect{class: wire.Unknown}
	}
	body := []byte(*r.body)
	e := effect{class: wire.ClassifyRoutine(body)}
	if e.class&(wire.Sets|wire.Resets) != 0 {
		wire.RoutineSetNames(body, func(name string) { e = e.and(effect{sets: []string{name}}) })
	}
	return e.and(rs.called(body, false))
}

// called is what the routines do that a text names.
func (rs *routines) called(text []byte, backslash bool) (e effect) {
	if len(rs.names) == 0 {
		return effect{}
	}
	wire.Words(text, backslash, func(w []byte) {
		if of, ok := rs.names[string(w)]; ok {
			e = e.and(of)
		} else if of, ok := rs.names[strings.ToLower(string(w))]; ok {
			e = e.and(of)
		}
	})
	return e
}

// writes reports whether a text may write rows, also by a routine that it names.
func (rs *routines) writes(text []byte, backslash bool) (yes bool) {
	wire.Words(text, backslash, func(w []byte) {
		yes = yes || wire.Writes(w) || rs.writers[string(w)] || rs.writers[strings.ToLower(string(w))]
	})
	return yes
}

// any reports whether there is one that leaves something.
func (rs *routines) any() bool { return rs != nil && len(rs.names) > 0 }

// does is what a text does through routines.
func (rs *routines) does(text []byte, backslash bool) effect {
	e := rs.implicit.and(rs.called(text, backslash))
	if rs.written.class != 0 && rs.writes(text, backslash) {
		e = e.and(rs.written)
	}
	return e
}

// all is what any of them may do.
func (rs *routines) all() (e effect) {
	if rs == nil {
		return effect{class: wire.Unknown}
	}
	for _, of := range rs.names {
		e = e.and(of)
	}
	return e
}
