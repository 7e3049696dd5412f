package broker_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

// relays has a registry know that its process is a broker.
func relays(cfg *registry.Config) { cfg.Broker = true }

// active makes a tenant that is served.
func (c *city) active(slug string) registry.Tenant {
	tenant := c.settle(slug)
	c.set(tenant, registry.Active)
	return tenant
}

// seen waits until the brokers have acknowledged everything so far.
func (c *city) seen(limit time.Duration) (late int) {
	c.t.Helper()
	change, err := c.LastChange(c.t.Context())
	require.NoError(c.t, err)
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	behind, err := c.WaitSeen(ctx, change)
	require.NoError(c.t, err)
	return len(behind)
}

// client logs in as slug's own login.
func (c *city) client(address, slug string) *pgx.Conn {
	return connect(c.t, address, slug, "app", "pw-"+slug, simple)
}

func simple(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol }

// ended waits until conn was closed by the other side and returns the last error
// that it was sent.
func ended(t testing.TB, conn *pgx.Conn) *pgconn.PgError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := conn.Exec(ctx, "SELECT 1")
	var failure *pgconn.PgError
	require.ErrorAs(t, err, &failure)
	return failure
}

// told waits for an unasked error.
func told(t testing.TB, conn *pgx.Conn, within time.Duration) *pgconn.PgError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err := conn.WaitForNotification(ctx)
	var failure *pgconn.PgError
	require.ErrorAs(t, err, &failure)
	return failure
}

func exec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(context.Background(), sql)
	require.NoError(t, err, sql)
}

func TestSuspensionEndsSessionsWithTheirTransactions(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	c.active("dua")
	address := serve(t, c.Registry)
	idle, busy, other := c.client(address, "satu"), c.client(address, "satu"), c.client(address, "dua")
	exec(t, busy, "BEGIN")
	exec(t, other, "BEGIN")

	began := time.Now()
	c.set(satu, registry.Suspended)
	failure := told(t, idle, time.Second)
	require.Equal(t, "57P01", failure.Code)
	require.Equal(t, `tenant "satu" is suspended`, failure.Message)
	require.Equal(t, "because of the test", failure.Detail)
	require.NotEmpty(t, failure.Hint)
	require.Less(t, time.Since(began), time.Second)
	require.Equal(t, "57P03", code(t, address, "satu", "app", "pw-satu"))
	require.Equal(t, 1, c.seen(200*time.Millisecond), "a transaction is still running")

	exec(t, busy, "SELECT 1")
	exec(t, busy, "COMMIT")
	require.Equal(t, "57P01", ended(t, busy).Code)
	require.Zero(t, c.seen(patience))
	exec(t, other, "COMMIT")

	c.set(satu, registry.Active)
	eventually(t, func() bool { return code(t, address, "satu", "app", "pw-satu") == "" }, "resumed")
	c.set(satu, registry.Suspended)
	c.set(satu, registry.Active)
	require.Zero(t, c.seen(patience))
	exec(t, c.client(address, "satu"), "SELECT 1")
}

func TestTransactionOfASuspendedTenantEndsAfterTheGrace(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	b, address := serveBroker(t, c.Registry, func(c *broker.Config) { c.SuspendGrace = 300 * time.Millisecond })
	conn := c.client(address, "satu")
	exec(t, conn, "BEGIN")
	c.set(satu, registry.Suspended)
	require.Equal(t, "57P01", told(t, conn, patience).Code)
	require.Zero(t, c.seen(patience))
	eventually(t, func() bool { tenants, _, _ := b.Census(); return len(tenants) == 0 }, "nobody is left")
}

func TestResumeWithinTheGraceLeavesTheOthersServed(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	address := serve(t, c.Registry)
	conn := c.client(address, "satu")
	exec(t, conn, "BEGIN")
	c.set(satu, registry.Suspended)
	require.Equal(t, 1, c.seen(200*time.Millisecond))
	c.set(satu, registry.Active)
	require.Zero(t, c.seen(patience))
	exec(t, conn, "SELECT 1")
	_, err := conn.Exec(t.Context(), "COMMIT") // it was told to go, and may go
	require.NoError(t, err)
	exec(t, c.client(address, "satu"), "SELECT 1")
}

func TestMigrationHoldsNewTransactions(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	b, address := serveBroker(t, c.Registry)
	busy, waiting := c.client(address, "satu"), c.client(address, "satu")
	exec(t, busy, "BEGIN")
	c.set(satu, registry.Migrating)
	require.Equal(t, 1, c.seen(200*time.Millisecond), "a transaction is still running")
	exec(t, busy, "SELECT 1")
	exec(t, busy, "COMMIT")
	require.Zero(t, c.seen(patience), "quiet")

	outcome := make(chan error, 1)
	go func() {
		_, err := waiting.Exec(context.Background(), "SELECT 1")
		outcome <- err
	}()
	eventually(t, func() bool {
		stats, err := b.Stats(t.Context())
		return err == nil && len(stats.Pools) == 1 && stats.Pools[0].Waiting == 1 && stats.Pools[0].Held
	}, "held")
	c.set(satu, registry.Active)
	require.NoError(t, <-outcome)
	exec(t, busy, "SELECT 1")
}

func TestMigrationThatTakesTooLongIsSaid(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	address := serve(t, c.Registry, func(c *broker.Config) { c.MigrationWait = 200 * time.Millisecond })
	conn := c.client(address, "satu")
	c.set(satu, registry.Migrating)
	require.Zero(t, c.seen(patience))
	failure := ended(t, conn)
	require.Equal(t, "57P03", failure.Code)
	require.Contains(t, failure.Message, "being migrated")
}

func TestDeletedTenantIsUnknownAndARestoredOneSuspended(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	c.grantAll("svc")
	address := serve(t, c.Registry)
	conn := connect(t, address, "satu", "svc", "pw-svc", simple)
	act := registry.Act{Actor: "test", Message: "left"}
	_, err := c.DeleteTenant(t.Context(), satu.ID, 0, act)
	require.NoError(t, err)
	failure := told(t, conn, time.Second)
	require.Equal(t, "3D000", failure.Code)
	require.Equal(t, "3D000", code(t, address, "satu", "svc", "pw-svc"))
	require.Equal(t, "28P01", code(t, address, "satu", "app", "pw-satu"))
	require.Equal(t, "3D000", code(t, address, "never", "svc", "pw-svc"), "the same as for a tenant that never was")

	_, err = c.RestoreTenant(t.Context(), satu.ID, act)
	require.NoError(t, err)
	eventually(t, func() bool { return code(t, address, "satu", "svc", "pw-svc") == "57P03" }, "restored, and suspended")
	c.set(satu, registry.Active)
	eventually(t, func() bool { return code(t, address, "satu", "svc", "pw-svc") == "" }, "and served")
}

// grantAll makes a service login for every tenant.
func (c *city) grantAll(name string) registry.Login {
	c.t.Helper()
	l := c.login(name, "", "pw-"+registry.Secret(name))
	require.NoError(c.t, c.Grant(c.t.Context(), l.ID, "", registry.Act{Actor: "test"}))
	return l
}

// A row that was changed without any announcement is noticed all the same.
func TestStatusIsNoticedWithoutItsNotification(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	address := serve(t, c.Registry)
	conn := c.client(address, "satu")
	admin(t, c.url, `SET session_replication_role = replica;
		UPDATE dermaga.tenants SET status = 'SUSPENDED', version = version + 1 WHERE id = '`+satu.ID+`'`)
	require.Equal(t, "57P01", told(t, conn, 2*time.Second).Code)
}

func TestStatusIsNoticedAfterTheRegistryWasAway(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	address := serve(t, c.Registry)
	conn := c.client(address, "satu")
	u, err := url.Parse(c.url)
	require.NoError(t, err)
	name := u.Path[1:]
	admin(t, pgtest.URL(t), `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS false`)
	admin(t, pgtest.URL(t), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
	exec(t, conn, "SELECT 1")
	admin(t, pgtest.URL(t), `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS true`)
	admin(t, c.url, `UPDATE dermaga.tenants SET status = 'SUSPENDED' WHERE id = '`+satu.ID+`'`)
	require.Equal(t, "57P01", told(t, conn, patience).Code)
}

func TestLoginThatIsTakenAwayEndsItsClients(t *testing.T) {
	c := found(t, relays)
	c.active("satu")
	c.grantAll("stays")
	address := serve(t, c.Registry)
	other := connect(t, address, "satu", "stays", "pw-stays", simple)
	act := registry.Act{Actor: "test"}
	for name, take := range map[string]func(registry.Login) error{
		"disabled": func(l registry.Login) error {
			_, err := c.SetLoginDisabled(t.Context(), l.ID, true, act)
			return err
		},
		"expired": func(l registry.Login) error {
			_, err := c.SetLoginExpiry(t.Context(), l.ID, time.Now().Add(300*time.Millisecond), act)
			return err
		},
		"deleted": func(l registry.Login) error { return c.DeleteLogin(t.Context(), l.ID, act) },
		"revoked": func(l registry.Login) error { return c.Revoke(t.Context(), l.ID, "", act) },
	} {
		login := c.grantAll(name)
		idle, busy := connect(t, address, "satu", name, "pw-"+name, simple), connect(t, address, "satu", name, "pw-"+name, simple)
		exec(t, busy, "BEGIN")
		require.NoError(t, take(login))
		failure := told(t, idle, 3*time.Second)
		require.Equal(t, "57P01", failure.Code)
		require.Contains(t, failure.Message, name)
		exec(t, busy, "COMMIT")
		require.Equal(t, "57P01", ended(t, busy).Code)
		require.Zero(t, c.seen(patience))
		require.NotEmpty(t, code(t, address, "satu", name, "pw-"+name))
	}
	exec(t, other, "SELECT 1")
}

// A revoked grant for one tenant leaves the login's clients at others.
func TestRevokedGrantEndsClientsOfItsTenantOnly(t *testing.T) {
	c := found(t, relays)
	satu, dua := c.active("satu"), c.active("dua")
	svc := c.login("svc", "", "pw-svc")
	act := registry.Act{Actor: "test"}
	require.NoError(t, c.Grant(t.Context(), svc.ID, satu.ID, act))
	require.NoError(t, c.Grant(t.Context(), svc.ID, dua.ID, act))
	address := serve(t, c.Registry)
	one, two := connect(t, address, "satu", "svc", "pw-svc", simple), connect(t, address, "dua", "svc", "pw-svc", simple)
	require.NoError(t, c.Revoke(t.Context(), svc.ID, satu.ID, act))
	require.Equal(t, "57P01", told(t, one, 2*time.Second).Code)
	require.Zero(t, c.seen(patience))
	exec(t, two, "SELECT 1")
}

func TestNewLimitsReachRunningClients(t *testing.T) {
	c := found(t, relays)
	satu := c.active("satu")
	b, address := serveBroker(t, c.Registry)
	conn := c.client(address, "satu")
	exec(t, conn, "SELECT 1")
	size := 3
	_, err := c.SetLimits(t.Context(), satu.ID, registry.Limits{PoolSize: &size}, registry.Act{Actor: "test"})
	require.NoError(t, err)
	eventually(t, func() bool {
		stats, err := b.Stats(t.Context())
		return err == nil && len(stats.Pools) == 1 && stats.Pools[0].PoolSize == 3
	}, "the pool has its new size without a new client")
}
