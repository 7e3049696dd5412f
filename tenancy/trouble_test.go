package tenancy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/tenancy"
)

func TestNamesOfNobodyTakeNoPlace(t *testing.T) {
	c := open(t, func(c *tenancy.Config) { c.MaxTenants = 1 })
	tn := get(t, c, "pt-satu")
	pool := tn.Pool()
	tn.Release()
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if _, err := c.Get(t.Context(), fmt.Sprint("pt-tiada-", i)); err == nil {
				t.Error("there is one")
			}
		})
	}
	all.Wait()
	require.Same(t, pool, get(t, c, "pt-satu").Pool())
	require.Equal(t, []string{"pt-satu"}, c.Stats().Tenants)
}

func TestPoolThatDoesNotOpenInTimeIsNotAvailable(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	c := open(t, func(c *tenancy.Config) {
		c.URL = "postgresql://u:hunter2@" + silent.Addr().String() + "/"
		c.OpenTimeout = 20 * time.Millisecond
	})
	_, err = c.Get(t.Context(), "pt-satu")
	require.ErrorIs(t, err, tenancy.ErrOpenTimeout)
	w := ask(c.Middleware()(told), "/pt-satu/x")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	problem(t, w)
}

func TestRequestThatTookTooLongIsNotInTime(t *testing.T) {
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-late.Done()
	_, err := database(late, get(t, open(t), "pt-satu"))
	require.Equal(t, http.StatusGatewayTimeout, tenancy.ProblemOf(err).Status)
}

// A cutConn ends as one does whose peer has died.
type cutConn struct {
	net.Conn
	cut *atomic.Bool
}

func (c cutConn) Read(b []byte) (int, error) {
	if c.cut.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(b)
}

func TestConnectionThatIsLostIsNotAvailable(t *testing.T) {
	var cut atomic.Bool
	c := open(t, func(c *tenancy.Config) {
		c.PoolConfig = func(_ string, p *pgxpool.Config) {
			dial := p.ConnConfig.DialFunc
			p.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return cutConn{conn, &cut}, err
			}
		}
	})
	h := c.Middleware()(told)
	require.Equal(t, http.StatusOK, ask(h, "/pt-satu").Code)
	cut.Store(true)
	w := ask(h, "/pt-satu")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	problem(t, w)
	cut.Store(false)
	require.Equal(t, http.StatusOK, ask(h, "/pt-satu").Code)
}

func TestSettingsThatPanicEndNobodyElse(t *testing.T) {
	c := open(t, func(c *tenancy.Config) {
		c.PoolConfig = func(slug string, p *pgxpool.Config) {
			settings := map[string]*pgxpool.Config{"pt-satu": p}
			settings[slug].MaxConns = 2
		}
	})
	require.NoError(t, visit(t.Context(), c, "pt-satu"))
	_, err := c.Get(t.Context(), "pt-dua")
	require.ErrorContains(t, err, "PoolConfig")
	require.Equal(t, http.StatusInternalServerError, tenancy.ProblemOf(err).Status)
}

func TestOperatorReadsWhatTheClientIsNotTold(t *testing.T) {
	logged := capture(t)
	c := open(t, func(c *tenancy.Config) {
		c.URL = strings.Replace(harbour.url, "journal-api:", "journal-api:hunter2", 1)
	})
	w := ask(c.Middleware()(told), "/pt-satu")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	problem(t, w)
	require.Contains(t, logged(), "level=ERROR msg=request_failed")
	require.Contains(t, logged(), "28P01")
	require.NotContains(t, logged(), "hunter2")
}

func TestWhatPassesIsAWarning(t *testing.T) {
	logged := capture(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	tenancy.WriteError(httptest.NewRecorder(), r, tenancy.ErrClosed)
	require.Contains(t, logged(), "level=WARN msg=request_failed")
	before := logged()
	tenancy.WriteError(httptest.NewRecorder(), r, tenancy.ErrInvalidSlug)
	require.Equal(t, before, logged(), "whoever asked for what is not there is no trouble of ours")
}

// capture returns what has been logged since.
func capture(t *testing.T) func() string {
	t.Helper()
	var to bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&to, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return to.String
}
