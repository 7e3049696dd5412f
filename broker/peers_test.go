package broker_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// An outpost is one more instance over a city's registry.
type outpost struct {
	*broker.Broker
	reg     *registry.Registry
	address string // for clients
	peers   string // for other instances
}

// instance starts a broker with a registry of its own over c's database.
func (c *city) instance(change ...func(*broker.Config)) *outpost {
	c.t.Helper()
	keys, err := registry.ParseKeys(testKey)
	require.NoError(c.t, err)
	reg, err := registry.Open(c.t.Context(), registry.Config{URL: registry.Secret(c.url), Keys: keys, Log: discard, Broker: true})
	require.NoError(c.t, err)
	c.t.Cleanup(reg.Close)
	b, address := serveBroker(c.t, reg, append([]func(*broker.Config){func(cfg *broker.Config) { cfg.Keys = keys }}, change...)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	served := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { served <- b.ServePeers(ctx, ln) }()
	c.t.Cleanup(func() {
		stop()
		require.NoError(c.t, <-served)
	})
	o := &outpost{Broker: b, reg: reg, address: address, peers: ln.Addr().String()}
	eventually(c.t, func() bool { self, ok := reg.Self(); return ok && self.PeerAddress == o.peers }, "its address is known")
	return o
}

func asker(t testing.TB, key string) *peer.Client {
	t.Helper()
	keys, err := registry.ParseKeys(key)
	require.NoError(t, err)
	client, err := peer.NewClient(keys)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func TestCancelThroughAnotherInstanceReachesItsQuery(t *testing.T) {
	c := found(t)
	satu := c.active("satu")
	role := registry.RoleNames(satu.ID).App
	a, b := c.instance(), c.instance()
	for _, protocol := range []string{"3.0", "3.2"} {
		conn := connect(t, a.address, "satu", "app", "pw-satu", func(cfg *pgx.ConnConfig) { cfg.MaxProtocolVersion = protocol })
		outcome := make(chan error, 1)
		go func() {
			_, err := conn.Exec(context.Background(), "SELECT pg_sleep(1000)")
			outcome <- err
		}()
		asleep(t, role, 1)
		request := func(address string, secret []byte) {
			other := fakepg.Dial(t, address)
			other.Send(&pgproto3.CancelRequest{ProcessID: conn.PgConn().PID(), SecretKey: secret})
			require.True(t, other.Ended())
		}
		wrong := append([]byte{}, conn.PgConn().SecretKey()...)
		wrong[0]++
		request(b.address, wrong)
		asleep(t, role, 1)
		require.Empty(t, outcome)
		request(b.address, conn.PgConn().SecretKey())
		var failure *pgconn.PgError
		require.ErrorAs(t, <-outcome, &failure)
		require.Equal(t, "57014", failure.Code)
		require.NoError(t, conn.Ping(t.Context()))
	}
}

func TestInstancesHaveKeysOfTheirOwn(t *testing.T) {
	c := found(t)
	c.active("satu")
	a, b := c.instance(), c.instance()
	prefix := func(o *outpost) uint32 { return c.client(o.address, "satu").PgConn().PID() >> 21 }
	require.NotZero(t, prefix(a))
	require.Equal(t, prefix(a), prefix(a))
	require.NotEqual(t, prefix(a), prefix(b))
}

func TestPeersTellTheirFigures(t *testing.T) {
	c := found(t)
	satu := c.active("satu")
	c.active("dua")
	a, b := c.instance(), c.instance()
	exec(t, c.client(a.address, "satu"), "SELECT 1")
	client := asker(t, testKey)
	instances, err := c.Instances(t.Context())
	require.NoError(t, err)
	require.Len(t, instances, 2)
	figures := map[string]peer.Stats{}
	for _, i := range instances {
		figures[i.PeerAddress], err = client.Stats(t.Context(), i.PeerAddress)
		require.NoError(t, err)
		require.Equal(t, i.ID, figures[i.PeerAddress].Instance)
	}
	require.Empty(t, figures[b.peers].Tenants)
	mine := figures[a.peers]
	require.True(t, mine.Ready)
	require.Equal(t, 1, mine.Connections)
	require.Equal(t, 10_000, mine.MaxClients)
	require.Equal(t, 50, mine.MaxConnections)
	require.Len(t, mine.Tenants, 1)
	require.Equal(t, satu.ID, mine.Tenants[0].ID)
	require.Equal(t, 1, mine.Tenants[0].Clients)
	require.Equal(t, 1, mine.Tenants[0].Servers)
	require.EqualValues(t, 1, mine.Tenants[0].Transactions)
	require.Len(t, mine.Servers, 1)
	require.Equal(t, 1, mine.Servers[0].Used)
}

func TestDisconnectEndsTheClientsThatAreThere(t *testing.T) {
	c := found(t)
	satu := c.active("satu")
	c.active("dua")
	a := c.instance()
	idle, busy, other := c.client(a.address, "satu"), c.client(a.address, "satu"), c.client(a.address, "dua")
	exec(t, busy, "BEGIN")
	client := asker(t, testKey)
	done := make(chan peer.Disconnected, 1)
	go func() {
		d, err := client.Disconnect(context.Background(), a.peers, peer.Disconnect{Tenant: satu.ID, Grace: patience})
		if err != nil {
			t.Errorf("disconnect: %v", err)
		}
		done <- d
	}()
	require.Equal(t, "57P01", told(t, idle, patience).Code)
	require.Empty(t, done, "a transaction is still running")
	exec(t, busy, "COMMIT")
	require.Equal(t, peer.Disconnected{Clients: 2}, <-done)
	require.Equal(t, "57P01", ended(t, busy).Code)
	exec(t, other, "SELECT 1")
	exec(t, c.client(a.address, "satu"), "SELECT 1") // who comes back is served

	d, err := client.Disconnect(t.Context(), a.peers, peer.Disconnect{Grace: 100 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, 2, d.Clients)
	require.Equal(t, "57P01", ended(t, other).Code)
}

func TestPeersOfAnotherKeyAreNotAnswered(t *testing.T) {
	c := found(t)
	a := c.instance()
	const otherKey = "aa1c9a0be37d5248c4e1b7830f5a92d6ec3481bd7a0f69255dcb1e8497f302a4"
	_, err := asker(t, otherKey).Stats(t.Context(), a.peers)
	require.ErrorContains(t, err, "another ENCRYPTION_KEY")
}

func TestSuspensionIsAcknowledgedByEveryInstance(t *testing.T) {
	c := found(t)
	satu := c.active("satu")
	a, b := c.instance(), c.instance()
	one, two := c.client(a.address, "satu"), c.client(b.address, "satu")
	exec(t, two, "BEGIN")
	c.set(satu, registry.Suspended)
	require.Equal(t, "57P01", told(t, one, time.Second).Code)
	require.Equal(t, 1, c.seen(300*time.Millisecond), "the other has a transaction")
	exec(t, two, "COMMIT")
	require.Zero(t, c.seen(patience))
}

// Two operators give contradicting orders: whatever the registry says last holds
// everywhere.
func TestContradictingOrdersEndAlikeEverywhere(t *testing.T) {
	c := found(t)
	satu := c.active("satu")
	a, b := c.instance(), c.instance()
	for _, o := range []*outpost{a, b} {
		exec(t, c.client(o.address, "satu"), "SELECT 1")
	}
	for range 5 {
		c.set(satu, registry.Suspended)
		c.set(satu, registry.Active)
	}
	require.Zero(t, c.seen(patience))
	for _, o := range []*outpost{a, b} {
		exec(t, c.client(o.address, "satu"), "SELECT 1")
	}
	c.set(satu, registry.Suspended)
	require.Zero(t, c.seen(patience))
	for _, o := range []*outpost{a, b} {
		require.Equal(t, "57P03", code(t, o.address, "satu", "app", "pw-satu"))
	}
}

func TestServersConnectionsAreShared(t *testing.T) {
	const budget = 4
	c := found(t)
	satu := c.active("satu")
	admin(t, c.url, `UPDATE dermaga.servers SET connection_budget = 4`)
	a, b := c.instance(), c.instance()
	role := registry.RoleNames(satu.ID).App
	counter, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer counter.Close(context.Background())
	count := func() (n int) {
		require.NoError(t, counter.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&n))
		return n
	}
	share := func(o *outpost) int {
		stats, err := o.PeerStats(t.Context())
		require.NoError(t, err)
		if len(stats.Servers) == 0 {
			return -1
		}
		return stats.Servers[0].Share
	}
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	work := func(o *outpost) {
		for range 2 * budget {
			conn := c.client(o.address, "satu")
			workers.Go(func() {
				for ctx.Err() == nil {
					if _, err := conn.Exec(context.Background(), "SELECT pg_sleep(0.01)"); err != nil {
						return // its instance was shut down
					}
				}
			})
		}
	}
	work(a)
	work(b)
	eventually(t, func() bool {
		require.LessOrEqual(t, count(), budget)
		return share(a) == 2 && share(b) == 2
	}, "each has its half")
	eventually(t, func() bool { n := count(); require.LessOrEqual(t, n, budget); return n == budget }, "all of it is used")

	shutdown, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, b.Shutdown(shutdown))
	b.reg.Close()
	eventually(t, func() bool { require.LessOrEqual(t, count(), budget); return share(a) == budget }, "the other has gone")
	eventually(t, func() bool { n := count(); require.LessOrEqual(t, n, budget); return n == budget }, "all of it is used")
}
