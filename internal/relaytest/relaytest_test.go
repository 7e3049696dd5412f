package relaytest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestClientsShareTheRelaysServerAndDirectOnesHaveTheirOwn(t *testing.T) {
	r := relaytest.Start(t, relaytest.Options{})
	pid := func(c *pgconn.PgConn) string {
		res := c.ExecParams(context.Background(), "select pg_backend_pid()", nil, nil, nil, nil).Read()
		require.NoError(t, res.Err)
		return string(res.Rows[0][0])
	}
	a, b, direct := r.Client(), r.Client(), r.Direct()
	require.Equal(t, pid(a), pid(b))
	require.NotEqual(t, pid(a), pid(direct))
	require.Equal(t, 1, r.Pool().Servers)
}

func TestStartupParametersMeanTheSameAsOnADirectConnection(t *testing.T) {
	r := relaytest.Start(t, relaytest.Options{})
	startup := []string{"timezone", "Asia/Jakarta", "work_mem", "77MB", "app.x", "it's"}
	for _, c := range []*pgconn.PgConn{r.Client(startup...), r.Direct(startup...)} {
		require.Equal(t, "Asia/Jakarta", c.ParameterStatus("TimeZone"))
		res := c.ExecParams(context.Background(), "select concat_ws(' ', current_setting('timezone'), current_setting('work_mem'), current_setting('app.x'))", nil, nil, nil, nil).Read()
		require.NoError(t, res.Err)
		require.Equal(t, "Asia/Jakarta 77MB it's", string(res.Rows[0][0]))
	}
}
