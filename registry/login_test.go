package registry_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

func TestVerifierIsWhatPostgreSQLTakes(t *testing.T) {
	t.Parallel()
	password := registry.NewPassword()
	v, err := registry.NewVerifier(password)
	require.NoError(t, err)
	db := connect(t, pgtest.URL(t))
	const role = "verifier_test"
	exec(t, db, "CREATE ROLE "+role+" LOGIN PASSWORD '"+v+"'")
	t.Cleanup(func() { _, _ = db.Exec(context.Background(), "DROP ROLE "+role) })
	var stored string
	require.NoError(t, db.QueryRow(t.Context(), "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role).Scan(&stored))
	require.Equal(t, v, stored, "taken as a verifier, not hashed again")

	u, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	u.User = url.UserPassword(role, password.Reveal())
	conn, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	u.User = url.UserPassword(role, "wrong")
	_, err = pgx.Connect(t.Context(), u.String())
	var pg *pgconn.PgError
	require.True(t, errors.As(err, &pg))
	require.Equal(t, pgerrcode.InvalidPassword, pg.Code)
}

func TestVerifierRefusesWhatClientsWouldNormalise(t *testing.T) {
	t.Parallel()
	for _, p := range []registry.Secret{"", "kata-sandi-é", "a\x00b", "\u00a0"} {
		_, err := registry.NewVerifier(p)
		require.ErrorIs(t, err, registry.ErrInvalid)
	}
}

// One name is never both a tenant's login and a service's, whoever comes first.
func TestLoginNamesDoNotCollide(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	a, b := create(t, r, "a"), create(t, r, "b")
	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: a.ID})
	putLogin(t, r, registry.NewLogin{Name: "app", TenantID: b.ID}) // each tenant has names of its own
	putLogin(t, r, registry.NewLogin{Name: "journal-api"})

	_, err := r.PutLogin(t.Context(), registry.NewLogin{Name: "app", Verifier: verifier(t)})
	require.ErrorIs(t, err, registry.ErrLoginTaken, "a tenant's first, then a service's")
	_, err = r.PutLogin(t.Context(), registry.NewLogin{Name: "journal-api", TenantID: a.ID, Verifier: verifier(t)})
	require.ErrorIs(t, err, registry.ErrLoginTaken, "a service's first, then a tenant's")
}

func TestLoginNamesDoNotCollideWhenMadeAtOnce(t *testing.T) {
	t.Parallel()
	dsn := migrated(t)
	r, one, two := open(t, config(t, dsn)), connect(t, dsn), connect(t, dsn)
	addServer(t, r, "main", "db")
	tn := create(t, r, "a")
	tx, err := one.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO dermaga.logins (name, tenant_id) VALUES ('x', $1)", tn.ID)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := two.Exec(context.Background(), "INSERT INTO dermaga.logins (name) VALUES ('x')")
		ended <- err
	}()
	db := connect(t, dsn)
	soon(t, "the second waits for the first", func() bool {
		var waits bool
		err := db.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waits)
		return err == nil && waits
	})
	require.NoError(t, tx.Commit(t.Context()))
	require.ErrorContains(t, <-ended, "logins_one_sort")
}

func TestPutLoginAgainReplacesTheVerifier(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	v1, v2, v3 := verifier(t), verifier(t), verifier(t)
	first := putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID, Verifier: v1})
	require.Equal(t, []string{v1}, first.Verifiers)
	second := putLogin(t, r, registry.NewLogin{
		Name: "app", TenantID: tn.ID, Verifier: v2, Kind: registry.ReadOnly, MaxClients: 5, PoolMode: "session",
		Params: map[string]string{"TimeZone": "Asia/Jakarta"},
	})
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, registry.Login{
		ID: first.ID, Name: "app", TenantID: tn.ID, Kind: registry.ReadOnly, Verifiers: []string{v2}, MaxClients: 5,
		PoolMode: "session", Params: map[string]string{"TimeZone": "Asia/Jakarta"}, CreatedAt: first.CreatedAt,
	}, second)
	third := putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID, Verifier: v3, Overlap: time.Hour})
	require.Equal(t, []string{v3, v2}, third.Verifiers)
	all, err := r.Logins(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Equal(t, []registry.Login{third}, all)
}

func TestLoginsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	for _, c := range []struct {
		n  registry.NewLogin
		is error
	}{
		{registry.NewLogin{Name: "", Verifier: verifier(t)}, registry.ErrInvalid},
		{registry.NewLogin{Name: "a\xff", Verifier: verifier(t)}, registry.ErrInvalid},
		{registry.NewLogin{Name: "x", TenantID: tn.ID, Verifier: "md5abc"}, registry.ErrInvalid},
		{registry.NewLogin{Name: "x", TenantID: tn.ID, Verifier: verifier(t), PoolMode: "odd"}, registry.ErrInvalid},
		{registry.NewLogin{Name: "x", TenantID: "00000000-0000-0000-0000-000000000000", Verifier: verifier(t)}, registry.ErrNotFound},
	} {
		_, err := r.PutLogin(t.Context(), c.n)
		require.ErrorIs(t, err, c.is)
	}
	all, err := r.Logins(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestGrantsAreForServiceLogins(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	own, service := putLogin(t, r, registry.NewLogin{Name: "app", TenantID: tn.ID}), putLogin(t, r, registry.NewLogin{Name: "svc"})
	require.True(t, service.Service)
	require.ErrorIs(t, r.Grant(t.Context(), own.ID, tn.ID, registry.Act{}), registry.ErrInvalid)
	require.ErrorIs(t, r.Grant(t.Context(), "00000000-0000-0000-0000-000000000000", tn.ID, registry.Act{}), registry.ErrNotFound)
	for range 2 { // again is no error
		require.NoError(t, r.Grant(t.Context(), service.ID, tn.ID, registry.Act{}))
		require.NoError(t, r.Grant(t.Context(), service.ID, "", registry.Act{}))
	}
	for range 2 {
		require.NoError(t, r.Revoke(t.Context(), service.ID, tn.ID, registry.Act{}))
		require.NoError(t, r.Revoke(t.Context(), service.ID, "", registry.Act{}))
	}
}

func TestRemovedAccessLeavesNothingToLogInWith(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := served(t, r, "a")
	for range 2 { // again is no error
		require.NoError(t, r.RemoveAccess(t.Context(), tn.ID, registry.Act{Actor: "test", Message: "failed"}))
	}
	_, err := r.CurrentCredential(t.Context(), tn.ID, registry.App)
	require.ErrorIs(t, err, registry.ErrNotFound)
	all, err := r.Logins(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Empty(t, all)
}
