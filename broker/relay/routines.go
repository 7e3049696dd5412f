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
	names map[string]wire.Class
	// implicit is the class of those that run without being named: by a trigger, a
	// rule, a view, a policy, a default, a constraint, an operator or a cast.
	implicit wire.Class
}

// harmless are extensions whose routines, though written in C, leave nothing in a
// session. Those of others are taken to leave something where a text names them.
const harmless = `'btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch', 'hstore', 'intarray', 'isn',
 'ltree', 'pg_stat_statements', 'pg_trgm', 'pgcrypto', 'plpgsql', 'postgis', 'seg', 'tablefunc', 'unaccent', 'uuid-ossp', 'vector'`

// routinesSQL lists the database's own routines, with their text where that can
// be read, and whether something calls them that a query's text does not show.
// Every name is qualified: the session is new, but the habit is cheap.
const routinesSQL = `
SELECT p.proname,
 CASE WHEN l.lanname OPERATOR(pg_catalog.=) ANY (ARRAY['sql', 'plpgsql']) THEN
  CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_catalog.pg_get_function_sqlbody(p.oid) END END,
 (EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid OPERATOR(pg_catalog.=) p.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
   AND d.refobjid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'n'
   AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_proc'::pg_catalog.regclass))::pg_catalog.text
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384 AND NOT EXISTS (
 SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
 WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) p.oid
  AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) ANY (ARRAY[` + harmless + `]))`

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
	var found []routine
	for {
		kind, body, err := receive(conn)
		if err != nil {
			return nil, fmt.Errorf("look at routines: %w", err)
		}
		switch kind {
		case wire.DataRow:
			if r, ok := routineOf(body); ok {
				found = append(found, r)
			}
		case wire.Error:
			f := wire.ParseError(body)
			return nil, fmt.Errorf("look at routines: %s (SQLSTATE %s)", f.Message, f.Code)
		case wire.ReadyForQuery:
			return judge(found), conn.SetDeadline(time.Time{})
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
	name     string
	body     *string // nil: not written in a language that can be read
	implicit bool
}

func routineOf(row []byte) (r routine, ok bool) {
	values, ok := columns(row)
	if !ok || len(values) != 3 || values[0] == nil || values[2] == nil {
		return routine{}, false
	}
	return routine{*values[0], values[1], *values[2] == "true"}, true
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
	rs := &routines{names: map[string]wire.Class{}}
	for grown := true; grown; {
		grown = false
		for _, r := range found {
			class := rs.names[r.name] | rs.of(r)
			if class != rs.names[r.name] {
				rs.names[r.name], grown = class, true
			}
		}
	}
	for _, r := range found {
		if r.implicit {
			rs.implicit |= rs.names[r.name]
		}
	}
	return rs
}

// of is what r does, by what is known of the others so far.
func (rs *routines) of(r routine) wire.Class {
	if r.body == nil {
		return wire.Sticks | wire.Deallocates
	}
	return wire.ClassifyRoutine([]byte(*r.body)) | rs.called([]byte(*r.body))
}

// called is what the routines do that a text names.
func (rs *routines) called(text []byte) (class wire.Class) {
	if len(rs.names) == 0 {
		return 0
	}
	wire.Words(text, func(w []byte) {
		if c, ok := rs.names[string(w)]; ok {
			class |= c
		} else if c, ok := rs.names[strings.ToLower(string(w))]; ok {
			class |= c
		}
	})
	return class
}

// does is what a text does through routines.
func (rs *routines) does(text []byte) wire.Class {
	if rs == nil || len(rs.names) == 0 {
		return 0
	}
	return rs.implicit | rs.called(text)
}
