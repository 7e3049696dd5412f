package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

func TestTenantHasSettingsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := served(t, r, "a")
	act := registry.Act{Actor: "ani"}
	typed := map[string]string{
		"query_timeout": "1m30s", "query_wait_timeout": "5s", "query_wait_notify": "off", "idle_transaction_timeout": "1s",
		"transaction_timeout": "1h0m0s", "client_idle_timeout": "20ms", "pin_idle_timeout": "off", "max_pinned": "3", "transaction_state": "refuse",
	}
	require.ElementsMatch(t, registry.OwnSettings(), keysOf(typed), "each one is tried")
	got, err := r.SetLimits(t.Context(), tn.ID, registry.Limits{Settings: typed}, act)
	require.NoError(t, err)
	require.Equal(t, typed, got.Overrides.Settings())
	e, err := r.LookupFresh(t.Context(), "a", "app")
	require.NoError(t, err)
	require.Equal(t, got.Overrides, e.Route.Own)
	require.Equal(t, 90*time.Second, e.Route.Own.QueryTimeout.Or(time.Second))
	require.Zero(t, e.Route.Own.PinIdleTimeout.Or(time.Minute), "off, whatever the broker has")
	var raw string
	require.NoError(t, r.Pool().QueryRow(t.Context(), "SELECT overrides::text FROM dermaga.tenants").Scan(&raw))
	require.JSONEq(t, `{"query_timeout": 90000, "query_wait_timeout": 5000, "query_wait_notify": 0, "idle_transaction_timeout": 1000,
		"transaction_timeout": 3600000, "client_idle_timeout": 20, "pin_idle_timeout": 0, "max_pinned": 3, "transaction_state": "refuse"}`, raw)

	got, err = r.SetLimits(t.Context(), tn.ID, registry.Limits{Settings: map[string]string{"query_timeout": "0", "pin_idle_timeout": "", "max_pinned": ""}}, act)
	require.NoError(t, err)
	require.Equal(t, registry.Off, got.Overrides.QueryTimeout)
	require.Equal(t, time.Minute, got.Overrides.PinIdleTimeout.Or(time.Minute), "the broker's again")
	require.Zero(t, got.Overrides.MaxPinned)
	acts, err := r.Activities(t.Context(), tn.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "query_timeout 1m30s to off, pin_idle_timeout off to the broker's, max_pinned 3 to the broker's", acts[0].Message)
}

func keysOf(m map[string]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

func TestOwnSettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	for _, c := range []struct{ name, value, text string }{
		{"query_timeout", "soon", `query_timeout "soon": want a duration of at least a millisecond`},
		{"query_timeout", "-1s", "want a duration"},
		{"query_timeout", "9223372036854775807", "want a duration"},
		{"query_wait_timeout", "off", "nobody may wait for ever"},
		{"max_pinned", "none", "want a whole number from 1"},
		{"max_pinned", "-1", "want a whole number from 1"},
		{"transaction_state", "wipe", "want clean or refuse"},
		{"server_lifetime", "1h", "none of a tenant's own: want one of query_timeout, query_wait_timeout"},
	} {
		_, err := r.SetLimits(t.Context(), tn.ID, registry.Limits{Settings: map[string]string{c.name: c.value}}, registry.Act{})
		require.ErrorIs(t, err, registry.ErrInvalid, c.name)
		require.ErrorContains(t, err, c.text)
	}
	_, err := r.SetLimits(t.Context(), tn.ID, registry.Limits{Settings: map[string]string{"query_timeout": "x", "max_pinned": "y"}}, registry.Act{})
	require.ErrorContains(t, err, `max_pinned "y"`)
	require.ErrorContains(t, err, `query_timeout "x"`, "all faults at once")
	_, err = r.CreateTenant(t.Context(), registry.NewTenant{Slug: "b", Overrides: registry.Overrides{TransactionState: "wipe"}})
	require.ErrorIs(t, err, registry.ErrInvalid)
	for _, raw := range []string{`{"query_timeout": -1}`, `{"query_wait_timeout": 0}`, `{"max_pinned": 0}`, `{"transaction_state": "x"}`} {
		_, err := r.Pool().Exec(t.Context(), "UPDATE dermaga.tenants SET overrides = $1", raw)
		require.ErrorContains(t, err, "tenants_own_settings", raw)
	}
}

func TestLoginMayReplicate(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := served(t, r, "a")
	l, _, err := r.CreateLogin(t.Context(), registry.NewLogin{Name: "cdc", TenantID: tn.ID, Replication: true, Actor: "ani"})
	require.NoError(t, err)
	require.True(t, l.Replication)
	require.Equal(t, []string{"ani login.create cdc, app, may replicate"}, actions(t, r, 1))
	require.True(t, lookup(t, r, "a", "cdc").Login.Replication)
	require.False(t, lookup(t, r, "a", "app").Login.Replication)
	require.False(t, putLogin(t, r, registry.NewLogin{Name: "cdc", TenantID: tn.ID}).Replication)
}

func TestRegistryIsHeardThoughNobodyAsks(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	first := r.Stats().Heard
	soon(t, "heard again", func() bool { return r.Stats().Heard.After(first) })
	require.Equal(t, time.Hour, r.Stats().StandInUntil.Sub(r.Stats().Heard).Round(time.Minute))
}
