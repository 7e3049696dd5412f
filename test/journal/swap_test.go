package journal_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// swap returns a URL of the broker by a road on which a is taken for b and b for a.
func swap(t *testing.T, a, b string) string {
	t.Helper()
	u, err := url.Parse(world.brokerURL)
	require.NoError(t, err)
	u.Host = dermagatest.Swap(t, u.Host, map[string]string{a: b, b: a})
	u.RawQuery = "sslmode=disable"
	return u.String()
}
