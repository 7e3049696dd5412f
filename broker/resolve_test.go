package broker_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/registry"
)

func withStatus(s registry.Status, reason string) func(*registry.Entry) {
	return func(e *registry.Entry) { e.Route.Status, e.Route.StatusReason = s, reason }
}

func TestSuspendedTenantIsNamedOnlyToWhoHasProvenHimself(t *testing.T) {
	w := townOfTwo(t)
	w.alter("one", "one", withStatus(registry.Suspended, "invoice 17 is overdue"))
	address := serve(t, w)
	failure := fakepg.Dial(t, address).Login(0, "wrong", "user", "one")
	require.Equal(t, "28P01", failure.Code)
	failure = fakepg.Dial(t, address).Login(0, "right", "user", "one")
	require.Equal(t, "57P03", failure.Code)
	require.Equal(t, `tenant "one" is suspended`, failure.Message)
	require.Equal(t, "invoice 17 is overdue", failure.Detail)
	require.NotEmpty(t, failure.Hint)
}

func TestDeletedTenantsLoginIsUnknown(t *testing.T) {
	w := townOfTwo(t)
	w.alter("one", "one", func(e *registry.Entry) { e.Tenant.Status, e.Route = registry.Deleted, nil })
	failure := fakepg.Dial(t, serve(t, w)).Login(0, "right", "user", "one")
	require.Equal(t, "28P01", failure.Code)
}

func TestTenantInTheMakingIsWaitedForALittle(t *testing.T) {
	for status, words := range map[registry.Status]string{
		registry.Provisioning: "still being provisioned", registry.Migrating: "being migrated",
	} {
		w := townOfTwo(t)
		w.alter("one", "one", withStatus(status, ""))
		address := serve(t, w, func(c *broker.Config) { c.ProvisionWait, c.MigrationWait = 30*time.Millisecond, 30*time.Millisecond })
		failure := fakepg.Dial(t, address).Login(0, "right", "user", "one")
		require.Equal(t, "57P03", failure.Code)
		require.Contains(t, failure.Message, words)
		require.NotEmpty(t, failure.Hint)
	}
}

func TestLoginIsHeldUntilTheMigrationIsDone(t *testing.T) {
	for _, status := range []registry.Status{registry.Provisioning, registry.Migrating} {
		w := townOfTwo(t)
		w.alter("one", "one", withStatus(status, ""))
		address := serve(t, w, func(c *broker.Config) {
			c.ProvisionWait, c.MigrationWait = patience, patience
			c.ClientLoginTimeout = 10 * time.Second
		})
		c := fakepg.Dial(t, address)
		before := w.lookups()
		outcome := make(chan *pgproto3.ErrorResponse, 1)
		go func() { outcome <- c.Login(0, "right", "user", "one") }()
		eventually(t, func() bool { return w.lookups() >= before+2 }, "held: looked up by authenticate and by resolve")
		w.alter("two", "two", func(*registry.Entry) {}) // somebody else's change
		eventually(t, func() bool { return w.lookups() >= before+3 }, "looked again")
		require.Empty(t, outcome)
		w.alter("one", "one", withStatus(registry.Active, ""))
		require.Nil(t, <-outcome)
	}
}

func TestLoginTakenAwayWhileHeldIsRefused(t *testing.T) {
	w := townOfTwo(t)
	w.alter("one", "one", withStatus(registry.Migrating, ""))
	address := serve(t, w, func(c *broker.Config) { c.MigrationWait = patience })
	c := fakepg.Dial(t, address)
	outcome := make(chan *pgproto3.ErrorResponse, 1)
	go func() { outcome <- c.Login(0, "right", "user", "one") }()
	eventually(t, func() bool { return w.lookups() >= 2 }, "held")
	w.alter("one", "one", func(e *registry.Entry) { e.Login.ID = "another of that name" })
	require.Equal(t, "28P01", (<-outcome).Code)
}

func TestUnusableCredentialIsSaidWithoutItsCause(t *testing.T) {
	w := townOfTwo(t)
	w.alter("one", "one", func(e *registry.Entry) { e.Route.CredentialErr = registry.ErrWrongKey })
	failure := fakepg.Dial(t, serve(t, w)).Login(0, "right", "user", "one")
	require.Equal(t, "08006", failure.Code)
	require.NotContains(t, failure.Message+failure.Detail+failure.Hint, "ENCRYPTION_KEY")
}

func TestClientsOfATenantAndALoginAreLimited(t *testing.T) {
	for name, c := range map[string]struct {
		limit func(*registry.Entry)
		words string
	}{
		"tenant": {func(e *registry.Entry) { e.Route.MaxClients = 2 }, "max_clients = 2"},
		"login":  {func(e *registry.Entry) { e.Login.MaxClients = 2 }, "max_clients = 2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := townOfTwo(t)
			w.alter("one", "one", c.limit)
			b, address := serveBroker(t, w)
			first, second := fakepg.Dial(t, address), fakepg.Dial(t, address)
			require.Nil(t, first.Login(0, "right", "user", "one"))
			require.Nil(t, second.Login(0, "right", "user", "one"))
			failure := fakepg.Dial(t, address).Login(0, "right", "user", "one")
			require.NotNil(t, failure)
			require.Equal(t, "53300", failure.Code)
			require.Contains(t, failure.Detail, c.words)
			require.Contains(t, failure.Hint, "max_clients")
			require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "two"), "others are not meant")

			first.Send(&pgproto3.Terminate{})
			eventually(t, func() bool {
				tenants, logins, _ := b.Census()
				return tenants["id-one"] == 1 && logins["login-one"] == 1
			}, "the place is given back")
			require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"))
		})
	}
}

func TestNobodyIsCountedAfterEverybodyHasGone(t *testing.T) {
	w := townOfTwo(t)
	w.settle("dead", scripted(t, func(*fakepg.Conn) {}))
	w.alter("two", "two", withStatus(registry.Suspended, ""))
	b, address := serveBroker(t, w, func(c *broker.Config) { c.QueryWaitTimeout = time.Second })
	var clients sync.WaitGroup
	for range 20 {
		for slug, password := range map[string]string{"one": "right", "two": "right", "dead": "right", "none": "x"} {
			c := fakepg.Dial(t, address)
			clients.Go(func() {
				c.Login(0, password, "user", slug)
				_ = c.Close()
			})
		}
	}
	clients.Wait()
	eventually(t, func() bool {
		tenants, logins, keys := b.Census()
		stats, err := b.Stats(t.Context())
		return err == nil && len(tenants) == 0 && len(logins) == 0 && keys == 0 && stats.HalfOpen == 0
	}, "counters are back at nothing")
}

func TestPoolModeIsTheConnectionsThenTheLoginsThenTheBrokers(t *testing.T) {
	told := func(t *testing.T, w *town, mode string, asked ...string) string {
		address := serve(t, w, func(c *broker.Config) { c.PoolMode, c.TellSettings, c.Version = mode, true, "1.2" })
		client := fakepg.Dial(t, address)
		require.Nil(t, client.Login(0, "right", append([]string{"user", "one"}, asked...)...))
		require.Equal(t, "1.2", client.Params["dermaga.version"])
		require.Equal(t, "one", client.Params["dermaga.tenant"])
		return client.Params["dermaga.pool_mode"]
	}
	for _, mode := range registry.PoolModes {
		w := townOfTwo(t)
		require.Equal(t, "auto", told(t, w, ""), "unless told otherwise")
		require.Equal(t, mode, told(t, w, mode))
		require.Equal(t, mode, told(t, w, "session", "options", "-c dermaga.pool_mode="+mode))
		require.Equal(t, mode, told(t, w, "session", "dermaga.pool_mode", mode))
		w.alter("one", "one", func(e *registry.Entry) { e.Route.PoolMode = mode })
		require.Equal(t, mode, told(t, w, "session"))
		require.Equal(t, "statement", told(t, w, "session", "dermaga.pool_mode", "statement"), "the client has the last word")
	}
	failure := fakepg.Dial(t, serve(t, townOfTwo(t))).Login(0, "right", "user", "one", "dermaga.pool_mode", "sometimes")
	require.Equal(t, []string{"FATAL", "22023", "Available values: auto, transaction, statement, session."}, []string{failure.Severity, failure.Code, failure.Hint})
}

func TestClientsAreNotToldOurSettingsUnlessAsked(t *testing.T) {
	client := fakepg.Dial(t, serve(t, townOfTwo(t)))
	require.Nil(t, client.Login(0, "right", "user", "one"))
	for name := range client.Params {
		require.NotContains(t, name, "dermaga.")
	}
}
