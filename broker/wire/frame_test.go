package wire_test

import (
	"bytes"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/wire"
)

func TestNextTellsWhereAMessageEnds(t *testing.T) {
	for name, c := range map[string]struct {
		in    []byte
		kind  byte
		total int
		ok    bool
	}{
		"nothing":              {nil, 0, 0, false},
		"half a header":        {[]byte{'Q', 0, 0, 0}, 0, 0, false},
		"sync":                 {[]byte{'S', 0, 0, 0, 4}, 'S', 5, true},
		"length below its own": {[]byte{'Q', 0, 0, 0, 3}, 'Q', 0, true},
		"length zero":          {[]byte{'Q', 0, 0, 0, 0}, 'Q', 0, true},
		"length above 2^31":    {[]byte{'Q', 0xff, 0xff, 0xff, 0xff}, 'Q', 0, true},
		"largest":              {[]byte{'d', 0x3f, 0xff, 0xff, 0xff}, 'd', wire.MaxMessage + 1, true},
		"2 GB announced":       {[]byte{'d', 0x7f, 0xff, 0xff, 0xff}, 'd', 0, true},
	} {
		kind, total, ok := wire.Next(c.in)
		require.Equal(t, c.kind, kind, name)
		require.Equal(t, c.total, total, name)
		require.Equal(t, c.ok, ok, name)
	}
}

func TestSetConfigIsWhatPgproto3Reads(t *testing.T) {
	b := wire.AppendSetConfig(nil, [][2]string{{"TimeZone", "x'; drop table t; --"}, {"nusa.x", "\\ \n"}})
	back := pgproto3.NewBackend(bytes.NewReader(b), nil)
	m, err := back.Receive()
	require.NoError(t, err)
	require.Equal(t, "SELECT pg_catalog.set_config($1, $2, false), pg_catalog.set_config($3, $4, false)", m.(*pgproto3.Parse).Query)
	m, err = back.Receive()
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("TimeZone"), []byte("x'; drop table t; --"), []byte("nusa.x"), []byte("\\ \n")}, m.(*pgproto3.Bind).Parameters)
	m, err = back.Receive()
	require.NoError(t, err)
	require.IsType(t, &pgproto3.Execute{}, m)
	m, err = back.Receive()
	require.NoError(t, err)
	require.IsType(t, &pgproto3.Sync{}, m)
}

func TestErrorFieldsSurviveTheTrip(t *testing.T) {
	f := wire.Fields{Severity: "FATAL", Code: "53300", Message: "too many", Detail: "d", Hint: "h"}
	b := wire.AppendError(nil, f)
	kind, total, ok := wire.Next(b)
	require.True(t, ok)
	require.Equal(t, byte('E'), kind)
	require.Equal(t, len(b), total)
	require.Equal(t, f, wire.ParseError(b[wire.HeaderLen:]))
}

func FuzzNext(f *testing.F) {
	f.Add([]byte{'Q', 0, 0, 0, 4})
	f.Add([]byte{'Q', 0, 0, 0, 3})
	f.Add([]byte{'d', 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, total, ok := wire.Next(b)
		require.Equal(t, len(b) >= wire.HeaderLen, ok)
		if total != 0 {
			require.GreaterOrEqual(t, total, wire.HeaderLen)
			require.LessOrEqual(t, total, wire.MaxMessage+1)
		}
	})
}

func FuzzParseError(f *testing.F) {
	f.Add(wire.AppendError(nil, wire.Fields{Severity: "ERROR", Code: "42601", Message: "m"})[wire.HeaderLen:])
	f.Add([]byte("C"))
	f.Add([]byte("M\x00\x00"))
	f.Fuzz(func(_ *testing.T, b []byte) { wire.ParseError(b) })
}
