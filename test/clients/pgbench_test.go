package clients_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Each client of pgbench posts sales in transactions of five statements; every
// one that pgbench counts has to be there once, in its own tenant. There are
// more clients than a STARTER tenant's pool has servers, so each has a thread of
// its own: pgbench prepares statements without letting the thread's other
// clients go on, and those may hold the servers that it waits for.
func TestPgbenchLosesAndDoublesNothing(t *testing.T) {
	const clients, each = 16, 15
	pgbench := postgres(t, "pgbench")
	for i, protocol := range []string{"simple", "extended", "prepared"} {
		t.Run(protocol, func(t *testing.T) {
			everyWay(t, func(t *testing.T, w way) {
				run := 2 * i // pgbench's variables are numbers: one for each run in a tenant
				if w.transport == encrypted {
					run++
				}
				out := program{path: pgbench, args: []string{
					"-n", "-M", protocol, "-c", strconv.Itoa(clients), "-j", strconv.Itoa(clients), "-t", strconv.Itoa(each),
					"-f", "testdata/sale.pgbench", "-D", fmt.Sprintf("run=%d", run), w.through(t),
				}}.run(t)
				require.Contains(t, out, fmt.Sprintf("number of transactions actually processed: %d/%[1]d", clients*each))
				require.Contains(t, out, "number of failed transactions: 0 ")

				conn, err := pgx.Connect(t.Context(), w.around(t))
				require.NoError(t, err)
				defer conn.Close(t.Context())
				var entries, lines int
				require.NoError(t, conn.QueryRow(t.Context(), `
					SELECT count(DISTINCT e.id), count(*) FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.id
					WHERE e.source = $1 AND e.status = 'POSTED'`, fmt.Sprintf("pgbench %d", run)).Scan(&entries, &lines))
				require.Equal(t, clients*each, entries)
				require.Equal(t, 2*clients*each, lines)
			})
		})
	}
}
