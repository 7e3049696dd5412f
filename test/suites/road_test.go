package suites_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

// A road leads to a database: straight to PostgreSQL, or through the broker.
type road struct {
	name string // "direct" or "brokered"
	url  *url.URL
}

// at is the road's connection string with parameters, given as names and values.
func (r road) at(parameters ...string) string {
	u := *r.url
	q := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// plain is the connection string without TLS.
func (r road) plain() string { return r.at("sslmode", "disable") }

func (r road) password() string {
	p, _ := r.url.User.Password()
	return p
}

// database is the name that a client connects to.
func (r road) database() string { return strings.TrimPrefix(r.url.Path, "/") }

// authority is the file with the certificate that vouches for both roads' TLS.
func authority() string { return filepath.Join(dev.data, "tls.crt") }

// roads makes a tenant for a suite and a copy of its database beside it. A suite
// expects to be a superuser, so the tenant's role becomes one here, and is freed
// of its plan's limits; through the broker nothing else changes. Both roads have
// the same login, password and name of the database. setup is run in it first.
func roads(t *testing.T, slug, setup string) (direct, brokered road) {
	t.Helper()
	made, err := dev.api.CreateTenant(t.Context(), client.NewTenant{
		Slug: slug, Plan: "ENTERPRISE", PoolSize: *servers,
	})
	require.NoError(t, err)
	tenant, err := dev.api.Tenant(t.Context(), slug)
	require.NoError(t, err)
	role := pgx.Identifier{registry.RoleNames(tenant.ID).App}.Sanitize()
	database := pgx.Identifier{tenant.Database}.Sanitize()
	through, err := url.Parse(made.URL)
	require.NoError(t, err)
	password, _ := through.User.Password()

	onServer(t, "postgres",
		fmt.Sprintf("ALTER ROLE %s SUPERUSER", role),
		fmt.Sprintf("ALTER ROLE %s IN DATABASE %s RESET ALL", role, database))
	onServer(t, tenant.Database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", setup)
	login := pgx.Identifier{through.User.Username()}.Sanitize()
	onServer(t, "postgres",
		fmt.Sprintf(`DO $$ BEGIN CREATE ROLE %s; EXCEPTION WHEN duplicate_object THEN NULL; END $$`, login),
		fmt.Sprintf("ALTER ROLE %s SUPERUSER LOGIN PASSWORD '%s'", login, password),
		fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", pgx.Identifier{slug}.Sanitize(), database))

	server, err := url.Parse(dev.ServerURL)
	require.NoError(t, err)
	straight := *through
	straight.Host, straight.Path, straight.RawQuery = server.Host, "/"+slug, ""
	return road{"direct", &straight}, road{"brokered", through}
}

// onServer runs statements as the private server's superuser, each by itself.
func onServer(t *testing.T, database string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		require.NoError(t, execute(t.Context(), database, sql), sql)
	}
}

func execute(ctx context.Context, database, sql string) error {
	u, err := url.Parse(dev.ServerURL)
	if err != nil {
		return err
	}
	u.Path = "/" + database
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// offerTLS gives PostgreSQL the broker's certificate, so that what a suite tests
// of TLS goes both ways. PostgreSQL wants the key to be a file of its own user that
// nobody else can read: it writes it itself.
func offerTLS(ctx context.Context) error {
	for _, file := range []string{"tls.crt", "tls.key"} {
		text, err := os.ReadFile(filepath.Join(dev.data, file))
		if err != nil {
			return err
		}
		// A program of COPY's runs in the data folder. PEM has nothing to escape.
		write := fmt.Sprintf(`COPY (SELECT unnest(string_to_array('%s', E'\n'))) TO PROGRAM 'umask 077; cat > %s'`,
			strings.TrimSpace(string(text)), file)
		if err := execute(ctx, "postgres", write); err != nil {
			return fmt.Errorf("give PostgreSQL %s: %w", file, err)
		}
	}
	for _, sql := range []string{
		"ALTER SYSTEM SET ssl_cert_file = 'tls.crt'", "ALTER SYSTEM SET ssl_key_file = 'tls.key'", "ALTER SYSTEM SET ssl = on",
		"SELECT pg_reload_conf()",
	} {
		if err := execute(ctx, "postgres", sql); err != nil {
			return fmt.Errorf("turn on PostgreSQL's TLS: %w", err)
		}
	}
	return nil
}
