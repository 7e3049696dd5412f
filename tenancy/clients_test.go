package tenancy_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/tenancy"
)

// patience bounds what is waited for.
const patience = 20 * time.Second

func underscored(slug string) string { return strings.ReplaceAll(slug, "-", "_") }

func TestEachTenantHasItsOwnDatabase(t *testing.T) {
	c := open(t)
	for _, slug := range companies {
		tn := get(t, c, slug)
		name, err := database(t.Context(), tn)
		require.NoError(t, err)
		require.Equal(t, databaseOf(slug), name)
		require.Equal(t, slug, tn.Slug())
		require.NoError(t, tn.DB().QueryRow("select current_database()").Scan(&name), "by database/sql")
		require.Equal(t, databaseOf(slug), name)
		tn.Release()
	}
	require.Equal(t, tenancy.Stats{ActiveConnections: 3, MaxConnections: 50, Tenants: []string{"pt-dua", "pt-satu", "pt-tiga"}}, c.Stats())
}

func TestLeastRecentlyUsedMakesRoom(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.MaxTenants = 2 })
	get(t, c, "pt-satu").Release()
	get(t, c, "pt-dua").Release()
	get(t, c, "pt-satu").Release()
	get(t, c, "pt-tiga").Release()
	require.Equal(t, []string{"pt-satu", "pt-tiga"}, c.Stats().Tenants)
}

func TestWhoIsInUseStaysUntilItIsReleased(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.MaxTenants = 1 })
	used := get(t, c, "pt-satu")
	get(t, c, "pt-dua").Release()
	require.Equal(t, []string{"pt-dua"}, c.Stats().Tenants, "its place is gone")
	_, err := database(t.Context(), used)
	require.NoError(t, err, "its connections are not")
	pool := used.Pool()
	used.Release()
	used.Release()
	require.Eventually(t, func() bool { return pool.Ping(t.Context()) != nil }, patience, time.Millisecond)
}

func TestIdleMakesRoomBeforeWhoIsInUse(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.MaxTenants = 2 })
	get(t, c, "pt-satu") // first, and kept
	get(t, c, "pt-dua").Release()
	get(t, c, "pt-tiga").Release()
	require.Equal(t, []string{"pt-satu", "pt-tiga"}, c.Stats().Tenants)
}

func TestPoolThatNobodyUsesIsClosedAfterItsTime(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.TTL = 50 * time.Millisecond })
	used := get(t, c, "pt-satu")
	get(t, c, "pt-dua").Release()
	require.Eventually(t, func() bool { return len(c.Stats().Tenants) == 1 }, patience, time.Millisecond)
	require.Equal(t, []string{"pt-satu"}, c.Stats().Tenants)
	used.Release()
	require.Eventually(t, func() bool { return len(c.Stats().Tenants) == 0 }, patience, time.Millisecond)
	_, err := database(t.Context(), get(t, c, "pt-satu"))
	require.NoError(t, err, "and opened again")
}

func TestDisconnectClosesWhatIsIdle(t *testing.T) {
	c := open(t)
	idle, used := get(t, c, "pt-satu"), get(t, c, "pt-dua")
	pool := idle.Pool()
	idle.Release()
	require.True(t, c.Disconnect("pt-satu"))
	require.False(t, c.Disconnect("pt-satu"))
	require.Eventually(t, func() bool { return pool.Ping(t.Context()) != nil }, patience, time.Millisecond)
	c.DisconnectAll()
	require.Empty(t, c.Stats().Tenants)
	_, err := database(t.Context(), used)
	require.NoError(t, err)
}

func TestCloseWaitsForThoseInUse(t *testing.T) {
	c := open(t)
	used := get(t, c, "pt-satu")
	bounded, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Close(bounded), context.DeadlineExceeded)
	_, err := c.Get(t.Context(), "pt-satu")
	require.ErrorIs(t, err, tenancy.ErrClosed)
	_, err = database(t.Context(), used)
	require.NoError(t, err)
	used.Release()
	require.NoError(t, c.Close(t.Context()))
}

func TestManyWhoGetTheSameTenantWaitForOneConnection(t *testing.T) {
	var opened sync.Map
	c := open(t, func(c *tenancy.Config) {
		c.PoolConfig = func(slug string, p *pgxpool.Config) {
			_, twice := opened.LoadOrStore(slug, true)
			if twice {
				t.Error("opened twice: ", slug)
			}
			p.MaxConns = 2
		}
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			tn, err := c.Get(t.Context(), "pt-satu")
			if err != nil {
				t.Error(err)
				return
			}
			defer tn.Release()
			if tn.Pool().Config().MaxConns != 2 {
				t.Error("not as PoolConfig says")
			}
		})
	}
	all.Wait()
}

func TestSlowTenantDelaysNobodyElse(t *testing.T) {
	gate := make(chan struct{})
	c := open(t, func(c *tenancy.Config) {
		c.PoolConfig = func(slug string, p *pgxpool.Config) {
			if slug == "pt-satu" {
				<-gate
			}
		}
	})
	hurried, cancel := context.WithCancel(t.Context())
	slow := make(chan error)
	go func() {
		_, err := c.Get(hurried, "pt-satu")
		slow <- err
	}()
	_, err := database(t.Context(), get(t, c, "pt-dua"))
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-slow, context.Canceled, "nobody has to wait")
	bounded, end := context.WithTimeoutCause(t.Context(), time.Millisecond, io.EOF)
	defer end()
	_, err = c.Get(bounded, "pt-satu")
	require.Equal(t, http.StatusGatewayTimeout, tenancy.ProblemOf(err).Status, "whatever the cause is called")
	close(gate)
	_, err = database(t.Context(), get(t, c, "pt-satu"))
	require.NoError(t, err, "whoever gave up has not spoilt it")
}

func TestFailureIsNotRemembered(t *testing.T) {
	c := open(t)
	var said *pgconn.PgError
	_, err := c.Get(t.Context(), "pt-nanti")
	require.ErrorAs(t, err, &said)
	require.Equal(t, "3D000", said.Code)
	require.NotContains(t, err.Error(), "postgresql://")
	require.Empty(t, c.Stats().Tenants)
	_, err = harbour.Run(t.Context(), "tenant", "create", "pt-nanti", "--name", "PT Nanti")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return visit(t.Context(), c, "pt-nanti") == nil }, patience, 10*time.Millisecond)
}

// While tenants come and go, nobody is given another's database or a closed pool.
func TestManyUsersOfFewPlaces(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.MaxTenants, c.TTL = 2, time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for ctx.Err() == nil {
				slug := companies[random.IntN(len(companies))]
				if err := visit(ctx, c, slug); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if random.IntN(20) == 0 {
					c.Disconnect(slug)
				}
			}
		})
	}
	all.Wait()
}

func visit(ctx context.Context, c *tenancy.Clients, slug string) error {
	tn, err := c.Get(ctx, slug)
	if err != nil {
		return err
	}
	defer tn.Release()
	name, err := database(ctx, tn)
	if err == nil && name != databaseOf(slug) {
		err = fmt.Errorf("%s got %s", slug, name)
	}
	return err
}

func TestWrongConfigurationIsRefusedWithoutItsPassword(t *testing.T) {
	_, err := tenancy.Open(tenancy.Config{URL: "postgresql://u:hunter2@host:port/"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = tenancy.Open(tenancy.Config{URL: os.Getenv("DERMAGA_URL_THAT_NOBODY_SET")})
	require.ErrorContains(t, err, "URL is empty")
	_, err = tenancy.Open(tenancy.Config{URL: harbour.url, MaxTenants: -1})
	require.ErrorContains(t, err, "MaxTenants")
}

func TestWhatIsNoSlugIsNotAskedFor(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.URL = "postgresql://u:p@127.0.0.1:1/" })
	for _, name := range []string{"", "..", "../x", "PT-Satu", "a\x00b", "pt--satu", "-a", "admin", "postgres", strings.Repeat("a", 50), "pt satu", "ptśatu"} {
		_, err := c.Get(t.Context(), name)
		require.ErrorIs(t, err, tenancy.ErrInvalidSlug, "%q", name)
	}
}
