package nestjs_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// at is the application's URL with another address of a broker.
func at(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(dev.url)
	require.NoError(t, err)
	u.Host = address
	return u.String()
}

// The broker that is stopped is a second one over the same registry.
func TestCheckFailsWhenTheBrokerIsStopped(t *testing.T) {
	key, err := os.ReadFile(filepath.Join(dev.Dir, "data/encryption.key"))
	require.NoError(t, err)
	p, err := dermagatest.Start(dev.Binary, []string{
		"REGISTRY_DATABASE_URL=" + dev.Info.RegistryURL, "ENCRYPTION_KEY=" + strings.TrimSpace(string(key)),
	}, "serve", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, err := p.Log.Await(ctx, "serving", nil)
	require.NoError(t, err, p.Log.String())

	a := start(t, at(t, said.Text("broker")))
	require.NoError(t, a.check(t.Context()))
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(ctx))
	require.ErrorContains(t, a.check(t.Context()), "status 503, want 200")
}

func TestCheckFailsWhenTwoSlugsAreSwapped(t *testing.T) {
	one, other := dev.tenants[0].slug, dev.tenants[1].slug
	straight := dermagatest.Swap(t, dev.Info.Broker, map[string]string{})
	require.NoError(t, start(t, at(t, straight)).check(t.Context()), "by the same road, not swapped")

	crossed := dermagatest.Swap(t, dev.Info.Broker, map[string]string{one: other, other: one})
	err := start(t, at(t, crossed)).check(t.Context())
	require.ErrorContains(t, err, "has the row")
	require.ErrorContains(t, err, "does not have the row")
}
