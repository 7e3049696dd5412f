package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExitCodesTellAWrongCallFromAFailure(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"version"}, exitOK},
		{[]string{"nonsense"}, exitUsage},
		{[]string{"serve", "--nonsense"}, exitUsage},
		{[]string{"serve", "--listen", "nowhere"}, exitUsage},
		{[]string{"tenant", "show"}, exitUsage},
		{[]string{"tenant", "list", "--data", t.TempDir()}, exitUsage},
		{[]string{"tenant", "list", "--admin-url", "http://127.0.0.1:1", "--token", "x"}, exitFailure},
	} {
		var out, err bytes.Buffer
		none := func(string) (string, bool) { return "", false }
		require.Equal(t, c.code, run(c.args, streams{out: &out, err: &err, env: none}), "%v: %s", c.args, err.String())
		if c.code != exitOK {
			require.Empty(t, out.String(), "what went wrong goes to standard error")
			require.Contains(t, err.String(), "dermaga: ")
		}
	}
}
