package clients_test

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A tenant as its user knows it, and where its data really is.
type tenant struct {
	slug     string
	url      string // through the broker
	database string // on the private server
}

// A way is one of the roads from a client to a tenant.
type way struct {
	tenant
	transport string
}

const (
	plain     = "plain"
	encrypted = "tls"
)

// everyWay runs f for both tenants over both transports, all at the same time.
func everyWay(t *testing.T, f func(t *testing.T, w way)) {
	for _, tn := range dev.tenants {
		for _, transport := range []string{plain, encrypted} {
			t.Run(tn.slug+"/"+transport, func(t *testing.T) {
				t.Parallel()
				f(t, way{tenant: tn, transport: transport})
			})
		}
	}
}

// through is the connection string by way of the broker. Every client here
// understands libpq's parameters; over TLS each verifies the broker's name.
func (w way) through(t *testing.T) string {
	t.Helper()
	return w.at(t, w.slug)
}

// at is the same with another tenant's slug.
func (w way) at(t *testing.T, slug string) string {
	t.Helper()
	u, err := url.Parse(w.url)
	require.NoError(t, err)
	u.Path = "/" + slug
	if w.transport == plain {
		return address(t, u.String(), "sslmode", "disable")
	}
	return address(t, u.String(), "sslmode", "verify-full", "sslrootcert", certificate())
}

// around is the connection string of the tenant's database on its server, for
// its superuser: what a client sees there is what it has to see by way of the
// broker.
func (tn tenant) around(t *testing.T) string {
	t.Helper()
	return onServer(t, tn.database)
}

func onServer(t *testing.T, database string) string {
	t.Helper()
	return address(t, dev.Around(database), "sslmode", "disable")
}

// address sets parameters of a connection string, given as names and values.
func address(t *testing.T, connection string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(connection)
	require.NoError(t, err)
	q := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// certificate is the broker's own, which is its own authority in dev.
func certificate() string { return filepath.Join(dev.Dir, "data", "tls.crt") }
