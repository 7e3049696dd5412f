package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

func TestOpenWantsTheSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	_, err := registry.Open(t.Context(), config(t, url))
	require.ErrorIs(t, err, registry.ErrSchemaOld)
	require.ErrorContains(t, err, "dermaga registry migrate")

	require.NoError(t, migrations.Registry(t.Context(), url))
	db := connect(t, url)
	_, want, err := migrations.RegistryVersion(t.Context(), url)
	require.NoError(t, err)
	exec(t, db, "UPDATE dermaga.schema_migrations SET version = version - 1")
	_, err = registry.Open(t.Context(), config(t, url))
	require.ErrorIs(t, err, registry.ErrSchemaOld, "the newest file, %d, is what this release needs", want)
	exec(t, db, "UPDATE dermaga.schema_migrations SET version = version + 2")
	open(t, config(t, url)) // a newer schema works with the release before
}

func TestOpenTakesPrismasURL(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r := open(t, config(t, url+"&schema=public&connection_limit=5&pgbouncer=true"))
	var name, path string
	require.NoError(t, r.Pool().QueryRow(t.Context(), "SELECT current_setting('application_name'), current_setting('search_path')").Scan(&name, &path))
	require.Equal(t, "dermaga registry", name)
	require.Equal(t, "pg_catalog", path)
}

func TestOpenNamesTheWrongKey(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	open(t, config(t, url)) // registers its key: the table was empty
	cfg := config(t, url)
	cfg.Keys = keys(t, otherKey)
	_, err := registry.Open(t.Context(), cfg)
	require.ErrorIs(t, err, registry.ErrWrongKey)
	require.ErrorContains(t, err, keys(t, testKey).ID())
	require.ErrorContains(t, err, keys(t, otherKey).ID())
	require.NotContains(t, err.Error(), otherKey)
	open(t, config(t, url))
}

func TestOpenReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := registry.Open(t.Context(), registry.Config{CacheTTL: -1})
	require.ErrorIs(t, err, registry.ErrInvalid)
	for _, text := range []string{"REGISTRY_DATABASE_URL", "ENCRYPTION_KEY", "cache time"} {
		require.ErrorContains(t, err, text)
	}
}

func TestOpenWithoutARegistry(t *testing.T) {
	t.Parallel()
	_, err := registry.Open(t.Context(), config(t, "postgresql://u:hunter2@127.0.0.1:1/x"))
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = registry.Open(t.Context(), config(t, "postgresql://u:hunter2@127.0.0.1:x/x"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	r, err := registry.Open(t.Context(), config(t, migrated(t)))
	require.NoError(t, err)
	r.Close()
	r.Close()
	_, err = r.Lookup(context.Background(), "a", "b")
	require.ErrorIs(t, err, registry.ErrUnavailable)
}

func TestServerIsPutOnceAndBroughtUpToDate(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	s, err := r.ServerByName(t.Context(), "main")
	require.NoError(t, err)
	require.Equal(t, registry.Server{ID: s.ID, Name: "main", Host: "db1.example", Port: 5432, SSLMode: "prefer", State: "active", ConnectionBudget: 90}, s)
	role, password, err := r.ServerCredential(t.Context(), s.ID)
	require.NoError(t, err)
	require.Equal(t, "dermaga_admin", role)
	require.Equal(t, "adminpw", password.Reveal())

	before, err := r.Activities(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, s, addServer(t, r, "main", "db1.example"))
	after, err := r.Activities(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, before, after, "the same again writes nothing")

	moved, err := r.AddServer(t.Context(), registry.NewServer{
		Name: "main", Host: "db1.example", Port: 6000, SSLMode: "verify-full",
		CAPEM: "pem", AdminRole: "dermaga_admin", AdminPassword: "newpw",
	})
	require.NoError(t, err)
	require.Equal(t, s.ID, moved.ID)
	require.Equal(t, 6000, moved.Port)
	_, password, err = r.ServerCredential(t.Context(), s.ID)
	require.NoError(t, err)
	require.Equal(t, "newpw", password.Reveal())

	_, err = r.AddServer(t.Context(), registry.NewServer{Name: "twin", Host: "db1.example", Port: 6000, AdminRole: "a"})
	require.ErrorIs(t, err, registry.ErrServerTaken)
	_, err = r.AddServer(t.Context(), registry.NewServer{Name: "odd", Host: "h", SSLMode: "maybe", AdminRole: "a"})
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, err = r.AddServer(t.Context(), registry.NewServer{Name: "odd", Host: "h"})
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, err = r.ServerByName(t.Context(), "odd")
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestCredentialsAreSealedAndTakeTurns(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r, db := open(t, config(t, url)), connect(t, url)
	addServer(t, r, "main", "db")
	a, b := served(t, r, "a"), served(t, r, "b")
	c, err := r.CurrentCredential(t.Context(), a.ID, registry.App)
	require.NoError(t, err)
	require.Equal(t, "pw-a", c.Password.Reveal())

	c.Generation, c.Role, c.Password = 2, registry.RoleName(a.ID, registry.App, 2), "pw-a2"
	require.NoError(t, r.PutCredential(t.Context(), c))
	got, err := r.CurrentCredential(t.Context(), a.ID, registry.App)
	require.NoError(t, err)
	require.Equal(t, c, got)

	// A row that was copied to another tenant does not open there.
	exec(t, db, `UPDATE dermaga.credentials x SET sealed = y.sealed, role = y.role FROM dermaga.credentials y
		WHERE x.tenant_id = $1 AND y.tenant_id = $2 AND y.state = 'current'`, b.ID, a.ID)
	_, err = r.CurrentCredential(t.Context(), b.ID, registry.App)
	require.ErrorIs(t, err, registry.ErrNotItsRow)
	e, err := r.LookupFresh(t.Context(), "b", "app")
	require.NoError(t, err)
	require.ErrorIs(t, e.Route.CredentialErr, registry.ErrNotItsRow)
	require.Empty(t, e.Route.Password.Reveal())

	exec(t, db, "UPDATE dermaga.credentials SET sealed = substr(sealed, 1, 40) WHERE tenant_id = $1", b.ID)
	_, err = r.CurrentCredential(t.Context(), b.ID, registry.App)
	require.ErrorIs(t, err, registry.ErrTruncated)

	require.ErrorIs(t, r.PutCredential(t.Context(), registry.Credential{
		TenantID: "00000000-0000-0000-0000-000000000000", Kind: registry.App, Generation: 1, Role: "x",
	}), registry.ErrNotFound)
}

func TestMigrationsAreRecordedPerAttempt(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	tn := create(t, r, "a")
	m := registry.Migration{TenantID: tn.ID, Set: "journal", Version: 1, Name: "company", SHA256: [32]byte{7}, Actor: "test", Duration: 1500}
	m.Err = errors.New("lock timeout")
	require.NoError(t, r.RecordMigration(t.Context(), m))
	m.Err = nil
	require.NoError(t, r.RecordMigration(t.Context(), m))
	m.Version, m.Name = 2, "users"
	require.NoError(t, r.RecordMigration(t.Context(), m))

	all, err := r.Migrations(t.Context(), tn.ID)
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.EqualError(t, all[0].Err, "lock timeout")
	require.NoError(t, all[1].Err)
	require.Equal(t, m.SHA256, all[2].SHA256)
	require.EqualValues(t, 1000, all[2].Duration, "microseconds")
	got, err := r.TenantByID(t.Context(), tn.ID)
	require.NoError(t, err)
	require.EqualValues(t, 2, got.SchemaVersion)
}

func TestTokensAreKnownByTheirHashOnly(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	r, db := open(t, config(t, url)), connect(t, url)
	token, err := r.CreateToken(t.Context(), "ci", registry.Operator)
	require.NoError(t, err)
	got, err := r.TokenRole(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, registry.Operator, got.Role)
	require.Equal(t, "ci", got.Name)
	require.Equal(t, token.Reveal()[:8], got.Prefix)
	for _, wrong := range []registry.Secret{"", "x", token[:42], token + "x"} {
		_, err = r.TokenRole(t.Context(), wrong)
		require.ErrorIs(t, err, registry.ErrNotFound)
	}
	var row string
	require.NoError(t, db.QueryRow(t.Context(), "SELECT x::text FROM dermaga.api_tokens x").Scan(&row))
	require.NotContains(t, row, token.Reveal())
	_, err = r.CreateToken(t.Context(), "ci", "root")
	require.ErrorIs(t, err, registry.ErrInvalid)
}

func TestInstanceShowsWhileItRuns(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	db := connect(t, url)
	cfg := config(t, url)
	cfg.PeerAddress = "10.0.0.1:7000"
	r := open(t, cfg)
	var seen int64
	require.NoError(t, db.QueryRow(t.Context(), "SELECT seen_change FROM dermaga.instances WHERE peer_address = $1", cfg.PeerAddress).Scan(&seen))
	addServer(t, r, "main", "db")
	soon(t, "the instance says that it has seen the change", func() bool {
		var now int64
		err := db.QueryRow(t.Context(), "SELECT seen_change FROM dermaga.instances").Scan(&now)
		return err == nil && now > seen
	})
	r.Close()
	var left int
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM dermaga.instances").Scan(&left))
	require.Zero(t, left)
}
