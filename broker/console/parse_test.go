package console

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAQueryIsReadAsPgBouncerReadsIt(t *testing.T) {
	long := strings.Repeat("x", 64)
	for text, want := range map[string]request{
		"SHOW POOLS":                            {verb: "show", arg: "POOLS"},
		" show\t\n pools ; ":                    {verb: "show", arg: "pools"},
		`SHOW "po""ols"`:                        {verb: "show", arg: `po"ols`},
		"RELOAD":                                {verb: "reload"},
		"PAUSE pt-satu-2;":                      {verb: "pause", arg: "pt-satu-2"},
		`pause "pt-satu"`:                       {verb: "pause", arg: "pt-satu"},
		"KILL_CLIENT 42":                        {verb: "kill_client", arg: "42"},
		"SET x = 1":                             {verb: "set", arg: "x", value: "1"},
		"set x=y;":                              {verb: "set", arg: "x", value: "y"},
		"SET DateStyle TO 'ISO, it''s; --no'":   {verb: "set", arg: "DateStyle", value: "ISO, it's; --no"},
		"SET to to to":                          {verb: "set", arg: "to", value: "to"},
		"SHOW /* a /* nested */ one */ POOLS":   {verb: "show", arg: "POOLS"},
		"SHOW -- to the end of the line\nPOOLS": {verb: "show", arg: "POOLS"},
		"PAUSE x--y":                            {verb: "pause", arg: "x"},
		"-- ping":                               {},
		"/* ping */":                            {},
		"":                                      {},
		" \n":                                   {},
		";":                                     {},
	} {
		got, f := parse(text)
		require.Nil(t, f, text)
		if want.verb != "" {
			want.text = text
		}
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"SHOW POOLS; SHOW STATS", "SHOW POOLS NOW", "SHOW 'POOLS'", "'SHOW' POOLS", "SET", "SET x", "SET x y", "SET x =", "SET x = y z", "SET x = ;",
		"= x", ";;", "SHOW (1)", "SELECT 1 + 1", "SHOW POO\x00LS", `SHOW "POOLS`, "SET x = 'y", "/* ping", "PAUSE -x", "PAUSE x-", "PAUSE é",
	} {
		_, f := parse(text)
		require.NotNil(t, f, text)
		require.Equal(t, "42601", f.code)
		require.Equal(t, "invalid command '"+text+"', use SHOW HELP;", f.message)
	}
	for _, text := range []string{long, "PAUSE " + long, "SET " + long + " = 1", "SET x = '" + strings.Repeat("y", 256) + "'"} {
		_, f := parse(text)
		require.Equal(t, faultArguments, f, text)
	}
}

// FuzzParse: no text breaks the parser, and what it has understood means the same
// when it is written out with quotes.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"SHOW POOLS;", `PAUSE "a""b"`, "SET x TO 'y''z'", "-- ping", "/* /* */ */ KILL_CLIENT 1", "SET \"=\" = ';'", "RELOAD ;", "\"\" \"\"", "select a-b--c",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, fault := parse(text)
		if fault != nil || r.verb == "" && r.text == "" {
			return
		}
		if o, fault := resolve(r); fault == nil {
			require.NotEmpty(t, o.tag)
		}
		quote := func(s, q string) string { return q + strings.ReplaceAll(s, q, q+q) + q }
		again := quote(r.verb, `"`)
		switch {
		case r.verb == "set" && len(r.arg)+len(r.value) > 0:
			again = "SET " + quote(r.arg, `"`) + " = " + quote(r.value, "'")
		case r.arg != "":
			again += " " + quote(r.arg, `"`)
		}
		second, fault := parse(again)
		require.Nil(t, fault, again)
		second.text = r.text
		require.Equal(t, r, second, again)
	})
}
