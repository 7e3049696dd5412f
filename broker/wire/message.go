package wire

import "encoding/binary"

// Message types, from the client's side and the server's (PostgreSQL 18 manual,
// 54.7). Some letters mean different things in the two directions.
const (
	Bind         = 'B'
	Close        = 'C'
	CopyData     = 'd'
	CopyDone     = 'c'
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'

	CloseComplete        = '3'
	CommandComplete      = 'C'
	CopyBoth             = 'W'
	CopyIn               = 'G'
	DataRow              = 'D'
	Error                = 'E'
	NoData               = 'n'
	Notice               = 'N'
	ParameterDescription = 't'
	ParameterStatus      = 'S'
	ParseComplete        = '1'
	ReadyForQuery        = 'Z'
	RowDescription       = 'T'
)

// Transaction states in ReadyForQuery.
const (
	Idle          = 'I'
	InTransaction = 'T'
	InFailed      = 'E'
)

// Begin appends a message's type and room for its length; End fills it in. at is
// where the message starts in b.
func Begin(b []byte, kind byte) (out []byte, at int) {
	return append(b, kind, 0, 0, 0, 0), len(b)
}

// End completes the message that starts at.
func End(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at+1:], uint32(len(b)-at-1))
	return b
}

// String appends s as a protocol String. A NUL in s would end it early and let
// the rest pass for something else, so everything from it on is left out.
func String(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] == 0 {
			s = s[:i]
			break
		}
	}
	return append(append(b, s...), 0)
}

// AppendQuery appends a simple query.
func AppendQuery(b []byte, sql string) []byte {
	b, at := Begin(b, Query)
	return End(String(b, sql), at)
}

// AppendParameterStatus appends what tells a client a parameter's value.
func AppendParameterStatus(b []byte, name, value string) []byte {
	b, at := Begin(b, ParameterStatus)
	return End(String(String(b, name), value), at)
}

// AppendReady appends ReadyForQuery with a transaction state.
func AppendReady(b []byte, state byte) []byte {
	b, at := Begin(b, ReadyForQuery)
	return End(append(b, state), at)
}

// AppendSetConfig appends a whole extended query, ended by its Sync, that sets
// each pair of names and values for the session. Values travel as bound
// parameters only, so no quote, semicolon or newline in one can become SQL. It
// uses the unnamed statement and portal.
func AppendSetConfig(b []byte, pairs [][2]string) []byte {
	const call = "pg_catalog.set_config($"
	b, at := Begin(b, Parse)
	b = append(b, 0)
	b = append(b, "SELECT "...)
	for i := range pairs {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, call...)
		b = appendInt(b, 2*i+1)
		b = append(b, ", $"...)
		b = appendInt(b, 2*i+2)
		b = append(b, ", false)"...)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = End(b, at)

	values := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		values = append(values, p[0], p[1])
	}
	return AppendSync(appendExecute(appendBind(b, values)))
}

// AppendSelect appends a whole extended query, ended by its Sync, of the unnamed
// statement with values as text for its parameters.
func AppendSelect(b []byte, sql string, values []string) []byte {
	b, at := Begin(b, Parse)
	b = String(append(b, 0), sql)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = End(b, at)
	return AppendSync(appendExecute(appendBind(b, values)))
}

// Parameter is $n.
func Parameter(n int) string { return string(appendInt([]byte{'$'}, n)) }

// appendBind appends a Bind of the unnamed statement and portal, all text.
func appendBind(b []byte, values []string) []byte {
	b, at := Begin(b, Bind)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, s := range values {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint16(b, 0)
	return End(b, at)
}

// appendExecute appends an Execute of the unnamed portal.
func appendExecute(b []byte) []byte {
	b, at := Begin(b, Execute)
	return End(append(b, 0, 0, 0, 0, 0), at)
}

// AppendSync appends a Sync.
func AppendSync(b []byte) []byte { return append(b, Sync, 0, 0, 0, 4) }

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// Fields are those of an ErrorResponse or NoticeResponse that the broker uses
// (PostgreSQL 18 manual, 54.8).
type Fields struct {
	Severity, Code, Message, Detail, Hint string
	Routine                               string // where PostgreSQL names a function of its source
}

// AppendError appends an ErrorResponse.
func AppendError(b []byte, f Fields) []byte { return appendFields(b, Error, f) }

// AppendNotice appends a NoticeResponse.
func AppendNotice(b []byte, f Fields) []byte { return appendFields(b, Notice, f) }

func appendFields(b []byte, kind byte, f Fields) []byte {
	b, at := Begin(b, kind)
	for _, x := range []struct {
		field byte
		value string
	}{{'S', f.Severity}, {'V', f.Severity}, {'C', f.Code}, {'M', f.Message}, {'D', f.Detail}, {'H', f.Hint}, {'R', f.Routine}} {
		if x.value != "" {
			b = String(append(b, x.field), x.value)
		}
	}
	return End(append(b, 0), at)
}

// ParseError reads an ErrorResponse's body. Fields that are missing stay empty:
// a server need not send a SQLSTATE.
func ParseError(body []byte) (f Fields) {
	for len(body) > 1 {
		field := body[0]
		s, rest, ok := Cut(body[1:])
		if !ok {
			return f
		}
		switch field {
		case 'V':
			f.Severity = string(s)
		case 'S':
			if f.Severity == "" {
				f.Severity = string(s)
			}
		case 'C':
			f.Code = string(s)
		case 'M':
			f.Message = string(s)
		case 'D':
			f.Detail = string(s)
		case 'H':
			f.Hint = string(s)
		case 'R':
			f.Routine = string(s)
		}
		body = rest
	}
	return f
}

// AppendCancel appends a CancelRequest (PostgreSQL 18 manual, 54.2.8), which has
// no message type.
func AppendCancel(b []byte, pid uint32, secret []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(12+len(secret)))
	b = binary.BigEndian.AppendUint32(b, 1234<<16|5678)
	b = binary.BigEndian.AppendUint32(b, pid)
	return append(b, secret...)
}
