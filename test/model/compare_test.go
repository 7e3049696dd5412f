package model_test

import (
	"bytes"
	"encoding/binary"
	"regexp"

	"github.com/jackc/pgerrcode"

	"github.com/nusajournal/dermaga/broker/wire"
)

// firstOwn is the lowest oid of an object that is not PostgreSQL's own.
const firstOwn = 16384

// ourNames are the broker's names of prepared statements, as errors say them.
var ourNames = regexp.MustCompile(`prepared statement "[^"]*"`)

// source is the fields of an error that say where in PostgreSQL it was made.
var source = regexp.MustCompile(`\x00F[^\x00]*\x00L[^\x00]*\x00R[^\x00]*`)

// mask takes out of a client's answer and its twin's what cannot be the same.
func mask(client, twin answer) (answer, answer) {
	if client.kind() != twin.kind() {
		return client, twin
	}
	switch client.kind() {
	case 'A': // the notifying backend's pid
		return maskPID(client), maskPID(twin)
	case 'T': // oids of temporary tables, which each session makes anew
		return maskTables(client), maskTables(twin)
	case wire.Error:
		return maskError(client, twin)
	}
	return client, twin
}

func maskPID(a answer) answer {
	return append(append(bytes.Clone(a[:wire.HeaderLen]), 0, 0, 0, 0), a[wire.HeaderLen+4:]...)
}

func maskTables(a answer) answer {
	a = bytes.Clone(a)
	body := a.body()
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		_, rest, ok := wire.Cut(body)
		if !ok {
			return a
		}
		if binary.BigEndian.Uint32(rest) >= firstOwn {
			binary.BigEndian.PutUint32(rest, firstOwn)
		}
		body = rest[18:] // table, column, type, size, modifier, format
	}
	return a
}

// broken is what breaks a COPY: perhaps a Close of the broker's before a client's Parse.
var broken = regexp.MustCompile(`unexpected message type 0x[45][30]`)

// maskError is for errors of prepared statements. The broker's names of these are
// masked. 42P05, which it says in PostgreSQL's place, comes from no line of
// PostgreSQL's source, and 25P02 may come from a Parse before the client's Bind. The
// length, which differs with them, goes too.
func maskError(client, twin answer) (answer, answer) {
	if bytes.Contains(client, []byte(`"dermaga`)) {
		client, twin = blank(ourNames, client), blank(ourNames, twin)
	}
	switch wire.ParseError(client.body()).Code {
	case pgerrcode.DuplicatePreparedStatement, pgerrcode.InFailedSQLTransaction:
		client, twin = blank(source, client), blank(source, twin)
	case pgerrcode.ProtocolViolation:
		client, twin = blank(broken, client), blank(broken, twin)
	}
	return client, twin
}

func blank(what *regexp.Regexp, a answer) answer {
	return append(answer{a.kind(), 0, 0, 0, 0}, what.ReplaceAll(a.body(), nil)...)
}
