package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/registry"
)

// own gives a tenant settings of its own.
func (c *city) own(tenant registry.Tenant, settings map[string]string) {
	c.t.Helper()
	_, err := c.SetLimits(c.t.Context(), tenant.ID, registry.Limits{Settings: settings}, registry.Act{Actor: "test"})
	require.NoError(c.t, err)
}

// Each time-out as a tenant's own, set while its client is there already; the
// neighbour, who has the broker's, notices nothing.
func TestTenantsTimeoutsReachItsRunningClients(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	c.active("dua")
	address := serve(t, c.Registry)
	for setting, x := range map[string]struct {
		sql, code, severity, words string
	}{
		"idle_transaction_timeout": {"BEGIN", "25P03", "FATAL", "idle transaction timeout"},
		"transaction_timeout":      {"BEGIN", "25P04", "FATAL", "transaction timeout"},
		"client_idle_timeout":      {"SELECT 1", "57P05", "FATAL", "client_idle_timeout"},
	} {
		t.Run(setting, func(t *testing.T) {
			conn, neighbour := c.client(address, "satu"), c.client(address, "dua")
			exec(t, conn, x.sql)
			exec(t, neighbour, x.sql)
			c.own(satu, map[string]string{setting: "100ms"})
			defer c.own(satu, map[string]string{setting: ""})
			failure := told(t, conn, patience)
			require.Equal(t, []string{x.severity, x.code, x.words}, []string{failure.Severity, failure.Code, failure.Message})
			exec(t, neighbour, "SELECT 1")
		})
	}
	t.Run("query_timeout", func(t *testing.T) {
		conn := c.client(address, "satu")
		exec(t, conn, "SELECT 1")
		answer := make(chan error, 1)
		go func() {
			_, err := conn.Exec(context.Background(), "SELECT pg_sleep(30)")
			answer <- err
		}()
		c.own(satu, map[string]string{"query_timeout": "100ms"})
		var failure *pgconn.PgError
		require.ErrorAs(t, <-answer, &failure)
		require.Equal(t, []string{"ERROR", "57014"}, []string{failure.Severity, failure.Code})
		exec(t, conn, "SELECT 1")
		c.own(satu, map[string]string{"query_timeout": ""})
		exec(t, conn, "SELECT pg_sleep(0.3)")
	})
}

func TestTenantLiftsTheBrokersTimeout(t *testing.T) {
	c := found(t, relays)
	c.own(c.active("satu"), map[string]string{"idle_transaction_timeout": "off"})
	c.active("dua")
	address := serve(t, c.Registry, func(c *broker.Config) { c.IdleTransactionTimeout = 100 * time.Millisecond })
	free, bound := c.client(address, "satu"), c.client(address, "dua")
	exec(t, free, "BEGIN")
	exec(t, bound, "BEGIN")
	require.Equal(t, "25P03", told(t, bound, patience).Code)
	exec(t, free, "COMMIT")
}

// A tenant's own query_wait_timeout bounds the wait of its clients, and the notice
// comes before.
func TestWaitForAServerIsTheTenantsOwn(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	one := 1
	_, err := c.SetLimits(t.Context(), satu.ID, registry.Limits{
		PoolSize: &one, Settings: map[string]string{"query_wait_timeout": "3s", "query_wait_notify": "100ms"},
	}, registry.Act{Actor: "test"})
	require.NoError(t, err)
	address := serve(t, c.Registry)
	busy := c.client(address, "satu")
	exec(t, busy, "BEGIN")
	notices := make(chan *pgconn.Notice, 10)
	cfg := busy.Config().Copy()
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices <- n }
	waiting, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer waiting.Close(context.Background())
	began := time.Now()
	_, err = waiting.Exec(t.Context(), "SELECT 1")
	var failure *pgconn.PgError
	require.True(t, errors.As(err, &failure), "%v", err)
	require.Equal(t, "53300", failure.Code)
	require.Less(t, time.Since(began), patience)
	require.Len(t, notices, 1)
	require.Equal(t, "No server connection available in postgres backend, client being queued", (<-notices).Message)
	exec(t, busy, "COMMIT")
}

func TestStateIsRefusedWhereTheTenantSaysSo(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	address := serve(t, c.Registry, func(c *broker.Config) { c.PoolMode = "transaction" })
	conn := c.client(address, "satu")
	exec(t, conn, "CREATE TEMP TABLE cleaned (id int)")
	c.own(satu, map[string]string{"transaction_state": "refuse"})
	var failure *pgconn.PgError
	eventually(t, func() bool {
		_, err := conn.Exec(t.Context(), "CREATE TEMP TABLE refused (id int)")
		return errors.As(err, &failure) && failure.Code == "0A000"
	}, "refused from now on")
	require.Contains(t, failure.Hint, "dermaga.pool_mode")
	exec(t, conn, "SELECT 1")
}
