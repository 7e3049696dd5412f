package nestjs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// dev is the `dermaga dev` that all tests use. TestMain sets it and nothing
// changes it afterwards.
var dev struct {
	*dermagatest.Dev
	url     string // of the application's login, without a database
	tenants []tenant
}

// A tenant is one of two whose rows must not meet.
type tenant struct {
	slug     string
	database string // on the private server
}

func TestMain(m *testing.M) {
	dermagatest.MainWithDev(m, "test/nestjs", prepare, "--migration-wait-timeout", "300ms")
}

// prepare makes a second tenant and the application's login, and gives each
// tenant a user of its own past the broker: whoever gets another's rows sees it.
func prepare(ctx context.Context, d *dermagatest.Dev) (err error) {
	dev.Dev = d
	if _, err := d.Run(ctx, "tenant", "create", "pt-media-nusa", "--name", "PT Media Nusa", "--plan", "BUSINESS"); err != nil {
		return err
	}
	if dev.url, err = d.URL(ctx, "login", "create", "journal-api", "--service", "--grant", "all"); err != nil {
		return err
	}
	for _, slug := range []string{"demo", "pt-media-nusa"} {
		tn := tenant{slug: slug, database: "nusa_journal_" + strings.ReplaceAll(slug, "-", "_")}
		conn, err := pgx.Connect(ctx, d.Around(tn.database))
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "INSERT INTO users (email, name) VALUES ($1, $2)", tn.marker(), slug)
		if err = errors.Join(err, conn.Close(ctx)); err != nil {
			return fmt.Errorf("mark %s: %w", slug, err)
		}
		dev.tenants = append(dev.tenants, tn)
	}
	return nil
}

// marker is the address of a user that only this tenant has.
func (tn tenant) marker() string { return "first@" + tn.slug }

func connect(t *testing.T, at string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}
