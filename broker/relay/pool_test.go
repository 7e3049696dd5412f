package relay_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestSmallerPoolClosesItsServersAsTheyBecomeIdle(t *testing.T) {
	r := newRig(t, 3)
	a, b, c := r.client(), r.client(), r.client()
	for _, x := range []*pgconn.PgConn{a, b, c} {
		one(t, x, "begin")
	}
	one(t, b, "commit") // one is idle now
	smaller := *r.target
	smaller.PoolSize = 1
	r.relay.Retarget(&smaller)
	require.Eventually(t, func() bool { return r.stats().Servers == 2 }, wait, tick)
	one(t, a, "commit")
	require.Eventually(t, func() bool { return r.stats().Servers == 1 }, wait, tick)
	one(t, c, "commit")
	require.Equal(t, "42", one(t, b, "select 40 + 2"))
	require.Equal(t, 1, r.stats().Servers)
}
