package client_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering is a client of a server that always gives this answer.
func answering(t *testing.T, status int, kind, body string) *client.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	c := client.New(server.URL+"/", "token-of-the-test")
	t.Cleanup(c.Close)
	return c
}

func TestProblemIsReadWithItsFaults(t *testing.T) {
	c := answering(t, 422, "application/problem+json",
		`{"status":422,"title":"Unprocessable Entity","detail":"validation failed","errors":[{"message":"expected integer","location":"body.poolSize"}]}`)
	_, err := c.CreateTenant(t.Context(), client.NewTenant{Slug: "a"})
	require.Equal(t, 422, client.StatusOf(err))
	require.EqualError(t, err, "validation failed\n  body.poolSize: expected integer")
}

func TestAnswerOfSomethingInBetweenIsARefusal(t *testing.T) {
	c := answering(t, 502, "text/html", "<html>Bad Gateway</html>")
	_, err := c.Stats(t.Context())
	require.Equal(t, 502, client.StatusOf(err))
	require.EqualError(t, err, "admin API answered 502 Bad Gateway")
}

func TestAnswerThatIsNoJSONIsAnError(t *testing.T) {
	c := answering(t, 200, "text/html", "<html>Welcome</html>")
	_, err := c.Tenants(t.Context(), client.TenantFilter{})
	require.ErrorContains(t, err, "something else than its JSON")
	require.Zero(t, client.StatusOf(err))
}

func TestErrorsDoNotShowTheToken(t *testing.T) {
	c := client.New("http://127.0.0.1:1", registry.Secret("token-of-the-test"))
	defer c.Close()
	_, err := c.Tenant(t.Context(), "demo")
	require.ErrorContains(t, err, "admin API does not answer")
	require.NotContains(t, err.Error(), "token-of-the-test")
}
