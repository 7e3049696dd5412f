package clients_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNodePostgresSeesWhatItSeesDirectly(t *testing.T) {
	sameBothWays(t, nodeProgram(t, "pg.mjs"))
}

func TestPrismaSeesWhatItSeesDirectly(t *testing.T) {
	sameBothWays(t, nodeProgram(t, "prisma.mjs"))
}

func TestPsycopgSeesWhatItSeesDirectly(t *testing.T) {
	sameBothWays(t, pythonProgram(t, "psycopg_query.py"))
}

// sameBothWays runs a program that works in a tenant's database and prints what
// it saw: through the broker it has to be what it sees without one, and the
// tenant's own.
func sameBothWays(t *testing.T, p program) {
	everyWay(t, func(t *testing.T, w way) {
		see := func(url, source string) map[string]any {
			p := p
			p.env = append([]string{"DATABASE_URL=" + url, "SOURCE=" + source}, p.env...)
			var saw map[string]any
			require.NoError(t, json.Unmarshal([]byte(p.run(t)), &saw))
			return saw
		}
		directly := see(w.around(t), t.Name()+" directly")
		require.Equal(t, []any{w.slug}, directly["owner"])
		require.Equal(t, directly, see(w.through(t), t.Name()))
	})
}
