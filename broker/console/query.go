package console

import (
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A portal is an order bound to formats, and what is left of its rows.
type portal struct {
	order   order
	formats []int16
	run     bool
	rows    []row
}

// handle answers one message, and reports whether the visit goes on.
func (v *Visit) handle(m message) bool {
	if v.skipping && m.kind != wire.Sync && m.kind != wire.Terminate {
		return true
	}
	var err error
	switch m.kind {
	case wire.Terminate:
		return false
	case wire.Query:
		err = v.query(m.body)
	case wire.Sync:
		clear(v.portals) // they end with their transaction
		v.skipping = false
		v.out = wire.AppendReady(v.out, wire.Idle)
	case wire.Parse:
		err = v.parse(m.body)
	case wire.Bind:
		err = v.bind(m.body)
	case wire.Describe:
		err = v.describe(m.body)
	case wire.Execute:
		err = v.execute(m.body)
	case wire.Close:
		err = v.close(m.body)
	case wire.Flush:
	case wire.CopyData, wire.CopyDone, wire.CopyFail: // late ones: nobody wants them
	default:
		v.end(faultProtocol("invalid frontend message type %d", m.kind))
	}
	if err != nil {
		v.skipping = m.kind != wire.Query
		v.fail(err)
	}
	if m.kind == wire.Query {
		v.out = wire.AppendReady(v.out, wire.Idle)
	}
	return true
}

// fail tells the client of err, as far as it is its business.
func (v *Visit) fail(err error) {
	f := asFault(err)
	switch {
	case f == nil:
		f = faultUnanswered
	case f == faultBarred:
		return // it is told as the visit ends
	}
	v.out = wire.AppendError(v.out, f.fields("ERROR"))
}

// prompt reports whether the client waits for what m was answered.
func (m message) prompt() bool {
	return m.kind == wire.Query || m.kind == wire.Sync || m.kind == wire.Flush
}

// decode reads a message's body.
func decode(body []byte, into interface{ Decode([]byte) error }) error {
	if into.Decode(body) != nil {
		return faultProtocol("invalid message format")
	}
	return nil
}

// query answers a simple query.
func (v *Visit) query(body []byte) error {
	var q pgproto3.Query
	if err := decode(body, &q); err != nil {
		return err
	}
	o, empty, err := prepare(q.String)
	switch {
	case err != nil:
		return err
	case empty:
		v.out = appendEmpty(v.out, emptyQuery)
		return nil
	}
	rows, err := v.run(o)
	if err != nil {
		return err
	}
	v.out = o.appendNotices(v.out)
	if o.table != nil {
		v.out = appendDescription(v.out, o.table.columns, nil)
		for _, r := range rows {
			v.out = appendRow(v.out, o.table.columns, r, nil)
		}
	}
	v.out = appendTag(v.out, o.tag)
	return nil
}

// Types of messages that wire does not name.
const (
	emptyQuery           = 'I'
	bindComplete         = '2'
	noData               = 'n'
	parameterDescription = 't'
	portalSuspended      = 's'
)

// prepare reads a query. An empty one is no error and no order.
func prepare(text string) (o order, empty bool, err error) {
	r, f := parse(text)
	if f != nil {
		return order{}, false, f
	}
	if r.verb == "" {
		return order{}, true, nil
	}
	if o, f = resolve(r); f != nil {
		return order{}, false, f
	}
	o.text = text
	return o, false, nil
}

func (v *Visit) parse(body []byte) error {
	var p pgproto3.Parse
	if err := decode(body, &p); err != nil {
		return err
	}
	o, _, err := prepare(p.Query)
	switch _, taken := v.statements[p.Name]; {
	case err != nil:
		return err
	case taken && p.Name != "":
		return &fault{code: pgerrcode.DuplicatePreparedStatement, message: `prepared statement "` + p.Name + `" already exists`}
	case len(v.statements) >= maxPrepared:
		return faultMany
	}
	v.statements[p.Name] = o
	v.out = appendEmpty(v.out, wire.ParseComplete)
	return nil
}

func (v *Visit) bind(body []byte) error {
	var b pgproto3.Bind
	if err := decode(body, &b); err != nil {
		return err
	}
	o, err := v.statement(b.PreparedStatement)
	if err != nil {
		return err
	}
	if n := len(b.Parameters); n > 0 {
		return faultProtocol("bind message supplies %d parameters, but prepared statement %q requires 0", n, b.PreparedStatement)
	}
	if o.table != nil {
		if n := len(b.ResultFormatCodes); n > 1 && n != len(o.table.columns) {
			return faultProtocol("bind message has %d result formats but query has %d columns", n, len(o.table.columns))
		}
	}
	for _, f := range b.ResultFormatCodes {
		if f != formatText && f != formatBinary {
			return &fault{code: pgerrcode.InvalidParameterValue, message: "unsupported format code"}
		}
	}
	switch _, taken := v.portals[b.DestinationPortal]; {
	case taken && b.DestinationPortal != "":
		return &fault{code: pgerrcode.DuplicateCursor, message: `cursor "` + b.DestinationPortal + `" already exists`}
	case len(v.portals) >= maxPrepared:
		return faultMany
	}
	v.portals[b.DestinationPortal] = &portal{order: o, formats: b.ResultFormatCodes}
	v.out = appendEmpty(v.out, bindComplete)
	return nil
}

func (v *Visit) describe(body []byte) error {
	var d pgproto3.Describe
	if err := decode(body, &d); err != nil {
		return err
	}
	var o order
	var formats []int16
	if d.ObjectType == 'S' {
		var err error
		if o, err = v.statement(d.Name); err != nil {
			return err
		}
		b, at := wire.Begin(v.out, parameterDescription)
		v.out = wire.End(append(b, 0, 0), at)
	} else {
		p, err := v.portal(d.Name)
		if err != nil {
			return err
		}
		o, formats = p.order, p.formats
	}
	if o.table == nil {
		v.out = appendEmpty(v.out, noData)
		return nil
	}
	v.out = appendDescription(v.out, o.table.columns, formats)
	return nil
}

func (v *Visit) execute(body []byte) error {
	var e pgproto3.Execute
	if err := decode(body, &e); err != nil {
		return err
	}
	p, err := v.portal(e.Portal)
	if err != nil {
		return err
	}
	o := p.order
	if o.tag == "" {
		v.out = appendEmpty(v.out, emptyQuery)
		return nil
	}
	if !p.run {
		if p.rows, err = v.run(o); err != nil {
			return err
		}
		p.run = true
		v.out = o.appendNotices(v.out)
	}
	limit := len(p.rows)
	if e.MaxRows > 0 && uint64(e.MaxRows) < uint64(limit) {
		limit = int(e.MaxRows)
	}
	for _, r := range p.rows[:limit] {
		v.out = appendRow(v.out, o.table.columns, r, p.formats)
	}
	p.rows = p.rows[limit:]
	if len(p.rows) > 0 {
		v.out = appendEmpty(v.out, portalSuspended)
		return nil
	}
	v.out = appendTag(v.out, o.tag)
	return nil
}

func (v *Visit) close(body []byte) error {
	var c pgproto3.Close
	if err := decode(body, &c); err != nil {
		return err
	}
	if c.ObjectType == 'S' {
		delete(v.statements, c.Name)
	} else {
		delete(v.portals, c.Name)
	}
	v.out = appendEmpty(v.out, wire.CloseComplete)
	return nil
}

func (v *Visit) statement(name string) (order, error) {
	o, ok := v.statements[name]
	if !ok {
		return order{}, &fault{code: pgerrcode.InvalidSQLStatementName, message: `prepared statement "` + name + `" does not exist`}
	}
	return o, nil
}

func (v *Visit) portal(name string) (*portal, error) {
	p, ok := v.portals[name]
	if !ok {
		return nil, &fault{code: pgerrcode.InvalidCursorName, message: `portal "` + name + `" does not exist`}
	}
	return p, nil
}
