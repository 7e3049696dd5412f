package admin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

func TestSameIdempotencyKeyMakesOneTenant(t *testing.T) {
	s := newSite(t)
	s.addServer()
	operator := s.client(registry.Operator)
	wanted := client.NewTenant{Slug: "only-once", IdempotencyKey: "order-4711"}
	first, err := operator.CreateTenant(t.Context(), wanted)
	require.NoError(t, err)
	second, err := operator.CreateTenant(t.Context(), wanted)
	require.NoError(t, err)
	require.Equal(t, first, second, "with the password, for whom the first answer was lost")

	other := wanted
	other.Plan = "BUSINESS"
	_, err = operator.CreateTenant(t.Context(), other)
	require.Equal(t, http.StatusUnprocessableEntity, client.StatusOf(err))
	require.ErrorContains(t, err, "used for another request")
	_, err = s.client(registry.Admin).CreateTenant(t.Context(), wanted)
	require.Equal(t, http.StatusConflict, client.StatusOf(err), "another token's key is another key")
}

func TestReplayedAnswerSaysSo(t *testing.T) {
	s := newSite(t)
	s.row("pt-a")
	ask := func() *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/v1/logins", body(`{"name":"x","tenant":"pt-a"}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+s.tokens[registry.Operator].Reveal())
		req.Header.Set("Idempotency-Key", "k")
		resp, err := s.server.Client().Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp
	}
	first, second := ask(), ask()
	require.Equal(t, http.StatusCreated, first.StatusCode)
	require.Empty(t, first.Header.Get("Idempotency-Replayed"))
	require.Equal(t, http.StatusCreated, second.StatusCode)
	require.Equal(t, "true", second.Header.Get("Idempotency-Replayed"))
	require.Equal(t, "/v1/logins/x?tenant=pt-a", second.Header.Get("Location"))
}

func TestRequestThatFailedMayBeSentAgainWithItsKey(t *testing.T) {
	s := newSite(t)
	operator := s.client(registry.Operator)
	wanted := client.NewLogin{Name: "x", Tenant: "pt-late", IdempotencyKey: "k"}
	_, err := operator.CreateLogin(t.Context(), wanted)
	require.Equal(t, http.StatusNotFound, client.StatusOf(err))
	s.row("pt-late")
	_, err = operator.CreateLogin(t.Context(), wanted)
	require.NoError(t, err)
}
