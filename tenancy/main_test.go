package tenancy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/tenancy"
)

// harbour is the `dermaga dev` of all tests, with these tenants beside demo.
var harbour struct {
	*dermagatest.Dev
	url string // of the service login, without a database
}

var companies = []string{"pt-satu", "pt-dua", "pt-tiga"}

func TestMain(m *testing.M) {
	dermagatest.MainWithDev(m, "tenancy", func(ctx context.Context, d *dermagatest.Dev) (err error) {
		harbour.Dev = d
		for _, slug := range companies {
			if _, err := d.Run(ctx, "tenant", "create", slug, "--name", slug); err != nil {
				return err
			}
		}
		harbour.url, err = d.URL(ctx, "login", "create", "journal-api", "--service", "--grant", "all")
		return err
	}, "--migration-wait-timeout", "200ms", "--provision-wait-timeout", "200ms")
}

// open opens clients that end with t, and checks that nothing of theirs is left.
func open(t *testing.T, change ...func(*tenancy.Config)) *tenancy.Clients {
	t.Helper()
	before := goleak.IgnoreCurrent()
	cfg := tenancy.Config{URL: harbour.url}
	for _, f := range change {
		f(&cfg)
	}
	c, err := tenancy.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		bounded, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, c.Close(bounded))
		goleak.VerifyNone(t, before)
	})
	return c
}

// get gets a tenant until t ends, or it is released.
func get(t *testing.T, c *tenancy.Clients, slug string) *tenancy.Tenant {
	t.Helper()
	tn, err := c.Get(t.Context(), slug)
	require.NoError(t, err)
	t.Cleanup(tn.Release)
	return tn
}

// database asks which one it is, past all names.
func database(ctx context.Context, tn *tenancy.Tenant) (name string, err error) {
	return name, tn.Pool().QueryRow(ctx, "select current_database()").Scan(&name)
}

func databaseOf(slug string) string { return fmt.Sprint("nusa_journal_", underscored(slug)) }
