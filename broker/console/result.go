package console

import (
	"encoding/binary"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A column of a table.
type column struct {
	name string
	oid  uint32
}

// The types that columns have, as PgBouncer gives them.
const (
	text    = pgtype.TextOID
	int4    = pgtype.Int4OID
	int8    = pgtype.Int8OID
	numeric = pgtype.NumericOID
)

// A row has a string, an int64 or, for NULL, nil for each column.
type row []any

// Formats of values on the wire (PostgreSQL 18 manual, 54.7: Bind).
const (
	formatText   = 0
	formatBinary = 1
)

// formatOf is the format that a client asked for column i: none for all text, one
// for all alike, or one for each.
func formatOf(formats []int16, i int) int16 {
	switch len(formats) {
	case 0:
		return formatText
	case 1:
		return formats[0]
	}
	return formats[i]
}

// appendDescription appends a RowDescription.
func appendDescription(b []byte, columns []column, formats []int16) []byte {
	b, at := wire.Begin(b, 'T')
	b = binary.BigEndian.AppendUint16(b, uint16(len(columns)))
	for i, c := range columns {
		b = wire.String(b, c.name)
		b = append(b, 0, 0, 0, 0, 0, 0) // of no table
		b = binary.BigEndian.AppendUint32(b, c.oid)
		b = binary.BigEndian.AppendUint16(b, uint16(width(c.oid)))
		b = binary.BigEndian.AppendUint32(b, ^uint32(0)) // no modifier
		b = binary.BigEndian.AppendUint16(b, uint16(formatOf(formats, i)))
	}
	return wire.End(b, at)
}

// width is a type's length in bytes, below zero where it varies (pg_type.typlen).
func width(oid uint32) int16 {
	switch oid {
	case int4:
		return 4
	case int8:
		return 8
	}
	return -1
}

// appendRow appends a DataRow.
func appendRow(b []byte, columns []column, r row, formats []int16) []byte {
	b, at := wire.Begin(b, wire.DataRow)
	b = binary.BigEndian.AppendUint16(b, uint16(len(columns)))
	for i, c := range columns {
		if r[i] == nil {
			b = binary.BigEndian.AppendUint32(b, ^uint32(0))
			continue
		}
		start := len(b)
		b = append(b, 0, 0, 0, 0)
		b = appendValue(b, c.oid, r[i], formatOf(formats, i) == formatBinary)
		binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	}
	return wire.End(b, at)
}

func appendValue(b []byte, oid uint32, value any, binaryFormat bool) []byte {
	switch v := value.(type) {
	case string:
		return append(b, v...)
	case int64:
		switch {
		case !binaryFormat || oid == text:
			return strconv.AppendInt(b, v, 10)
		case oid == int4:
			return binary.BigEndian.AppendUint32(b, uint32(v))
		case oid == int8:
			return binary.BigEndian.AppendUint64(b, uint64(v))
		}
		return appendNumeric(b, v)
	}
	panic("console: a row has a value of another type")
}

// appendNumeric appends n, which is not negative, as PostgreSQL's numeric_send
// does: digits of base 10,000, of which those that are zero at the end are left
// out.
func appendNumeric(b []byte, n int64) []byte {
	var digits []uint16 // the lowest first
	for ; n > 0; n /= 10_000 {
		digits = append(digits, uint16(n%10_000))
	}
	weight := max(len(digits)-1, 0)
	for len(digits) > 0 && digits[0] == 0 {
		digits = digits[1:]
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(digits)))
	b = binary.BigEndian.AppendUint16(b, uint16(weight))
	b = append(b, 0, 0, 0, 0) // positive, no digits behind the point
	for i := len(digits) - 1; i >= 0; i-- {
		b = binary.BigEndian.AppendUint16(b, digits[i])
	}
	return b
}

// appendTag appends a CommandComplete.
func appendTag(b []byte, tag string) []byte {
	b, at := wire.Begin(b, 'C')
	return wire.End(wire.String(b, tag), at)
}

// appendEmpty appends a message without a body.
func appendEmpty(b []byte, kind byte) []byte { return append(b, kind, 0, 0, 0, 4) }

// appendNotice appends a NoticeResponse.
func appendNotice(b []byte, message, detail string) []byte {
	at := len(b)
	b = wire.AppendError(b, wire.Fields{Severity: "NOTICE", Code: "00000", Message: message, Detail: detail})
	b[at] = wire.Notice
	return b
}
