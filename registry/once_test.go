package registry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

func issue(t testing.TB, r *registry.Registry, name string, ttl time.Duration) (registry.Token, registry.Secret) {
	t.Helper()
	token, secret, err := r.IssueToken(t.Context(), registry.NewToken{Name: name, Role: registry.Operator, TTL: ttl, Actor: "ani"})
	require.NoError(t, err)
	return token, secret
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	ever, secret := issue(t, r, "ci", 0)
	short, shortSecret := issue(t, r, "for-a-day", 24*time.Hour)
	require.Nil(t, ever.ExpiresAt)
	require.WithinDuration(t, short.CreatedAt.Add(24*time.Hour), *short.ExpiresAt, time.Second)
	got, err := r.TokenRole(t.Context(), shortSecret)
	require.NoError(t, err)
	require.Equal(t, short, got)
	require.Equal(t, registry.Operator, got.Role)

	_, err = r.Pool().Exec(t.Context(), "UPDATE dermaga.api_tokens SET expires_at = now() WHERE name = 'for-a-day'")
	require.NoError(t, err)
	_, err = r.TokenRole(t.Context(), shortSecret)
	require.ErrorIs(t, err, registry.ErrNotFound)

	require.NoError(t, r.RevokeToken(t.Context(), ever.ID, act))
	require.NoError(t, r.RevokeToken(t.Context(), ever.ID, act), "once more")
	_, err = r.TokenRole(t.Context(), secret)
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.ErrorIs(t, r.RevokeToken(t.Context(), "00000000-0000-0000-0000-000000000000", act), registry.ErrNotFound)
	require.Equal(t, []string{
		"ani token.create ci, operator", "ani token.create for-a-day, operator, for 24h0m0s", "ani token.revoke ci",
	}, actions(t, r, 3))
	all, err := r.Tokens(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.NotNil(t, all[0].RevokedAt)
	_, _, err = r.IssueToken(t.Context(), registry.NewToken{Name: "x", Role: registry.Viewer, TTL: -1})
	require.ErrorIs(t, err, registry.ErrInvalid)
}

func TestRequestIsDoneOnce(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	token, _ := issue(t, r, "ci", 0)
	q := registry.Request{TokenID: token.ID, Key: "k1", SHA256: [32]byte{1}}
	answer := registry.Response{Status: 201, Header: map[string]string{"Location": "/v1/tenants/a"}, Body: []byte(`{"password":"s3cret-s3cret"}`)}

	mine := make([]bool, 8)
	var wg sync.WaitGroup
	for i := range mine {
		wg.Go(func() {
			done, err := r.BeginRequest(t.Context(), q)
			mine[i] = err == nil && done == nil
		})
	}
	wg.Wait()
	n := 0
	for _, m := range mine {
		if m {
			n++
		}
	}
	require.Equal(t, 1, n, "one of many does it")
	_, err := r.BeginRequest(t.Context(), q)
	require.ErrorIs(t, err, registry.ErrKeyBusy)

	require.NoError(t, r.FinishRequest(t.Context(), q, answer))
	got, err := r.BeginRequest(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, &answer, got)
	var raw string
	require.NoError(t, r.Pool().QueryRow(t.Context(), "SELECT encode(sealed, 'escape') FROM dermaga.idempotency_keys").Scan(&raw))
	require.NotContains(t, raw, "s3cret")

	other := q
	other.SHA256 = [32]byte{2}
	_, err = r.BeginRequest(t.Context(), other)
	require.ErrorIs(t, err, registry.ErrKeyReused)
	stranger, _ := issue(t, r, "other", 0)
	done, err := r.BeginRequest(t.Context(), registry.Request{TokenID: stranger.ID, Key: "k1", SHA256: q.SHA256})
	require.NoError(t, err)
	require.Nil(t, done, "keys belong to tokens")
}

func TestRequestCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	token, _ := issue(t, r, "ci", 0)
	q := registry.Request{TokenID: token.ID, Key: "k1", SHA256: [32]byte{1}}
	begun := func(what string) {
		t.Helper()
		done, err := r.BeginRequest(t.Context(), q)
		require.NoError(t, err, what)
		require.Nil(t, done, what)
	}
	begun("first")
	require.NoError(t, r.AbandonRequest(t.Context(), q))
	begun("after it was abandoned")
	_, err := r.Pool().Exec(t.Context(), "UPDATE dermaga.idempotency_keys SET created_at = now() - interval '11 minutes'")
	require.NoError(t, err)
	begun("after its process died")
	require.NoError(t, r.FinishRequest(t.Context(), q, registry.Response{Status: 200}))
	require.NoError(t, r.AbandonRequest(t.Context(), q))
	done, err := r.BeginRequest(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, 200, done.Status, "what is done is not abandoned")
	_, err = r.Pool().Exec(t.Context(), "UPDATE dermaga.idempotency_keys SET created_at = now() - interval '25 hours'")
	require.NoError(t, err)
	begun("after a day")

	nowhere := q
	nowhere.Key = "never begun"
	require.ErrorIs(t, r.FinishRequest(t.Context(), nowhere, registry.Response{}), registry.ErrNotFound)
	nowhere.Key = ""
	_, err = r.BeginRequest(t.Context(), nowhere)
	require.ErrorIs(t, err, registry.ErrInvalid)
}
