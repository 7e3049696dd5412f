package clients_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNodePostgresSeesWhatItSeesDirectly(t *testing.T) {
	sameBothWays(t, nodeProgram(t, "node/pg.mjs"))
}

func TestPrismaSeesWhatItSeesDirectly(t *testing.T) {
	sameBothWays(t, nodeProgram(t, "node/prisma.mjs"))
}

func TestPsycopgSeesWhatItSeesDirectly(t *testing.T) {
	sameBothWays(t, pythonProgram(t, "python/psycopg_query.py"))
}

// libpq 18, which psycopg brings along, can begin with TLS at once, and speaks
// protocol 3.2 with its longer cancel keys. It has to get what it insists on.
func TestPsycopgWithProtocol32AndDirectTLS(t *testing.T) {
	p := pythonProgram(t, "python/psycopg_query.py")
	everyWay(t, func(t *testing.T, w way) {
		newest := address(t, w.through(t), "min_protocol_version", "3.2", "max_protocol_version", "3.2")
		if w.transport == encrypted {
			newest = address(t, newest, "sslnegotiation", "direct")
		}
		saw := see(t, p, newest, t.Name()+" newest")
		require.Equal(t, []any{w.slug}, saw["owner"])
		require.Equal(t, see(t, p, w.around(t), t.Name()+" directly"), saw)
	})
}

// sameBothWays runs a program that works in a tenant's database and prints what
// it saw: through the broker it has to be what it sees without one, and the
// tenant's own.
func sameBothWays(t *testing.T, p program) {
	everyWay(t, func(t *testing.T, w way) {
		saw := see(t, p, w.through(t), t.Name())
		require.Equal(t, []any{w.slug}, saw["owner"])
		require.Equal(t, see(t, p, w.around(t), t.Name()+" directly"), saw)
	})
}

// see runs p and returns what it saw. source marks the entries that it posts.
func see(t *testing.T, p program, url, source string) map[string]any {
	t.Helper()
	p.env = append([]string{"DATABASE_URL=" + url, "SOURCE=" + source}, p.env...)
	var saw map[string]any
	require.NoError(t, json.Unmarshal([]byte(p.run(t)), &saw))
	return saw
}
