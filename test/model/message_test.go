package model_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/wire"
)

// message is one that a client sends.
type message struct {
	pgproto3.FrontendMessage
	pins bool // the broker may keep a server for what it leaves behind
}

// encode appends the messages' bytes.
func encode(t require.TestingT, list []message) (b []byte) {
	for _, m := range list {
		var err error
		b, err = m.Encode(b)
		require.NoError(t, err)
	}
	return b
}

// String is one line of a report; scan reads it.
func (m message) String() string {
	s := m.text()
	if m.pins {
		s += pinning
	}
	return s
}

// pinning ends the line of a message that pins.
const pinning = " (pins)"

func (m message) text() string {
	switch x := m.FrontendMessage.(type) {
	case *pgproto3.Query:
		if x.String == probe {
			return "Query (probe)"
		}
		return fmt.Sprintf("Query %q", x.String)
	case *pgproto3.Parse:
		return fmt.Sprintf("Parse %q %q %d", x.Name, x.Query, x.ParameterOIDs)
	case *pgproto3.Bind:
		return fmt.Sprintf("Bind %q to %q %q %d", x.DestinationPortal, x.PreparedStatement, x.Parameters, x.ResultFormatCodes)
	case *pgproto3.Describe:
		return fmt.Sprintf("Describe %c %q", x.ObjectType, x.Name)
	case *pgproto3.Execute:
		return fmt.Sprintf("Execute %q %d", x.Portal, x.MaxRows)
	case *pgproto3.Close:
		return fmt.Sprintf("Close %c %q", x.ObjectType, x.Name)
	case *pgproto3.CopyData:
		return fmt.Sprintf("CopyData %q", x.Data)
	case *pgproto3.CopyFail:
		return fmt.Sprintf("CopyFail %q", x.Message)
	case *pgproto3.FunctionCall:
		return fmt.Sprintf("FunctionCall %d %q", x.Function, x.Arguments)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m.FrontendMessage), "*pgproto3.")
}

func short(s string) string {
	const most = 200
	if len(s) > most {
		return fmt.Sprintf("%q… of %d bytes", s[:most], len(s))
	}
	return strconv.Quote(s)
}

// answer is one that a server sends, with its header.
type answer []byte

func (a answer) kind() byte   { return a[0] }
func (a answer) body() []byte { return a[wire.HeaderLen:] }

// theEnd stands for a connection that PostgreSQL closes.
var theEnd = answer{0, 0, 0, 0, 0}

// String is one line of a report.
func (a answer) String() string {
	body := a.body()
	switch a.kind() {
	case wire.ReadyForQuery:
		return "Ready " + string(body)
	case complete:
		return "Complete " + string(body[:len(body)-1])
	case wire.Error, wire.Notice:
		f := wire.ParseError(body)
		return fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Message)
	case 'T':
		return "Rows" + columns(body)
	case wire.DataRow:
		return "Row " + row(body)
	case wire.ParameterStatus:
		name, rest, _ := strings.Cut(string(body), "\x00")
		return fmt.Sprintf("Parameter %s=%s", name, strings.TrimSuffix(rest, "\x00"))
	}
	if name, ok := names[a.kind()]; ok {
		if len(body) == 0 {
			return name
		}
		return name + " " + short(string(body))
	}
	return fmt.Sprintf("%c %s", a.kind(), short(string(body)))
}

// names of the answers that have no other text.
var names = map[byte]string{
	'1': "ParseComplete", '2': "BindComplete", '3': "CloseComplete", 'I': "EmptyQuery", 'n': "NoData", 's': "Suspended",
	't': "Parameters", 'G': "CopyIn", 'H': "CopyOut", 'd': "CopyData", 'c': "CopyDone", 'V': "Function", 'A': "Notification", 0: "the end",
}

// columns is the names, types and formats of a RowDescription.
func columns(body []byte) (s string) {
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		name, rest, _ := wire.Cut(body)
		s += fmt.Sprintf(" %s:%d/%d", name, binary.BigEndian.Uint32(rest[6:]), rest[17])
		body = rest[18:]
	}
	return s
}

// row is the values of a DataRow.
func row(body []byte) string {
	var out []string
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			out = append(out, "null")
			continue
		}
		out = append(out, short(string(body[:size])))
		body = body[size:]
	}
	return strings.Join(out, ", ")
}
