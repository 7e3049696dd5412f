package wire_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/wire"
)

// startupBody builds the body of a StartupMessage from names and values in turn.
func startupBody(version wire.Version, pairs ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(version))
	for _, text := range pairs {
		body = append(append(body, text...), 0)
	}
	return append(body, 0)
}

func TestStartupDefaultsTheDatabaseToTheUser(t *testing.T) {
	s, err := wire.ParseStartup(startupBody(wire.Version30, "user", "pt-media"))
	require.NoError(t, err)
	require.Equal(t, "pt-media", s.Database)
}

func TestStartupSortsItsParameters(t *testing.T) {
	s, err := wire.ParseStartup(startupBody(wire.Version32,
		"user", "app", "TimeZone", "Asia/Jakarta", "database", "demo", "options", "-c a=b",
		"_pq_.test", "1", "replication", "database", "application_name", "psql", "_pq_.other", ""))
	require.NoError(t, err)
	require.Equal(t, wire.Startup{
		Version: wire.Version32, User: "app", Database: "demo", Replication: "database", Options: "-c a=b",
		Settings:   []wire.Setting{{Name: "TimeZone", Value: "Asia/Jakarta"}, {Name: "application_name", Value: "psql"}},
		Extensions: []string{"_pq_.test", "_pq_.other"},
	}, s)
}

func TestStartupTakesTheLastOfADoubledParameter(t *testing.T) {
	s, err := wire.ParseStartup(startupBody(wire.Version30, "user", "a", "database", "x", "user", "b", "database", "y"))
	require.NoError(t, err)
	require.Equal(t, "b", s.User)
	require.Equal(t, "y", s.Database)
}

func TestMalformedStartupsAreRefused(t *testing.T) {
	whole := startupBody(wire.Version30, "user", "app")
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"nothing":               {nil, wire.ErrPacketLength},
		"half a version":        {whole[:3], wire.ErrPacketLength},
		"a version only":        {whole[:4], wire.ErrLayout},
		"no terminator":         {whole[:len(whole)-1], wire.ErrLayout},
		"a name without value":  {whole[:9], wire.ErrLayout},
		"an unterminated value": {whole[:len(whole)-2], wire.ErrLayout},
		"bytes after the end":   {append(startupBody(wire.Version30, "user", "app"), 'x'), wire.ErrLayout},
		"no user":               {startupBody(wire.Version30, "database", "demo"), wire.ErrNoUser},
		"an empty user":         {startupBody(wire.Version30, "user", ""), wire.ErrNoUser},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseStartup(c.body)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestStartupLengthIsBounded(t *testing.T) {
	for _, c := range []struct {
		length uint32
		ok     bool
	}{{0, false}, {3, false}, {7, false}, {8, true}, {10004, true}, {10005, false}, {1 << 31, false}, {1<<32 - 1, false}} {
		n, err := wire.StartupLength([4]byte(binary.BigEndian.AppendUint32(nil, c.length)))
		if !c.ok {
			require.ErrorIs(t, err, wire.ErrPacketLength, "length %d", c.length)
			continue
		}
		require.NoError(t, err, "length %d", c.length)
		require.EqualValues(t, c.length-4, n)
	}
}

func TestCancelSecretsAreFourTo256Bytes(t *testing.T) {
	for _, c := range []struct {
		secret int
		ok     bool
	}{{0, false}, {3, false}, {4, true}, {32, true}, {256, true}, {257, false}} {
		body := binary.BigEndian.AppendUint32(nil, wire.CancelRequestCode)
		body = binary.BigEndian.AppendUint32(body, 4711)
		body = append(body, make([]byte, c.secret)...)
		pid, secret, ok := wire.ParseCancel(body)
		require.Equal(t, c.ok, ok, "%d bytes", c.secret)
		if ok {
			require.EqualValues(t, 4711, pid)
			require.Len(t, secret, c.secret)
		}
	}
}

func TestOptionsAreReadAsPostgreSQLReadsThem(t *testing.T) {
	for _, c := range []struct {
		text string
		want []wire.Setting
	}{
		{"", nil},
		{" \t\n ", nil},
		{"-c work_mem=4MB", []wire.Setting{{Name: "work_mem", Value: "4MB"}}},
		{"-cwork_mem=4MB  --statement-timeout=5s", []wire.Setting{{Name: "work_mem", Value: "4MB"}, {Name: "statement_timeout", Value: "5s"}}},
		{`-c search_path=a\ b,\\c`, []wire.Setting{{Name: "search_path", Value: `a b,\c`}}},
		{`-c a=`, []wire.Setting{{Name: "a", Value: ""}}},
		{`-c a=b=c`, []wire.Setting{{Name: "a", Value: "b=c"}}},
		{`-c my.own=1`, []wire.Setting{{Name: "my.own", Value: "1"}}},
		{`-c a=b\`, []wire.Setting{{Name: "a", Value: "b"}}}, // a trailing backslash escapes nothing
		{`-c a=x';drop\ table\ t--`, []wire.Setting{{Name: "a", Value: "x';drop table t--"}}},
	} {
		got, err := wire.ParseOptions(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
}

func TestMalformedOptionsAreRefused(t *testing.T) {
	for _, text := range []string{
		"-c=", "-c =x", "--=", "--", "-c", "-c a=1 -c", "-c a", "--a", "-", "a=b", "-d 5", `-c \`, `\`, "-c ;x=1", "-c .=1", "-c a.=1", "-c 1a=1", "-c a\"b=1",
	} {
		_, err := wire.ParseOptions(text)
		var refused *wire.OptionError
		require.ErrorAs(t, err, &refused, text)
	}
}

func TestManyOptionsTakeLinearTime(t *testing.T) {
	settings, err := wire.ParseOptions(strings.Repeat("-c a=1 ", 100_000))
	require.NoError(t, err)
	require.Len(t, settings, 100_000)
}
