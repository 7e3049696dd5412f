package clients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// dev is the `dermaga dev` that all tests go through. TestMain sets it and
// nothing changes it afterwards.
var dev struct {
	*dermagatest.Dev
	tenants []tenant
}

func TestMain(m *testing.M) {
	dermagatest.MainWithDev(m, "test/clients", addTenants)
}

// addTenants creates a second tenant as a user would and marks both with a row
// of their own: who sees another tenant's data sees the wrong name.
func addTenants(ctx context.Context, d *dermagatest.Dev) error {
	dev.Dev = d
	out, err := d.Run(ctx, "tenant", "create", "pt-media-nusa", "--name", "PT Media Nusa", "--plan", "BUSINESS")
	if err != nil {
		return err
	}
	var made struct{ Slug, URL string }
	if err := json.Unmarshal(out, &made); err != nil {
		return fmt.Errorf("what tenant create --json prints: %w", err)
	}
	first := d.Info.Tenants[0]
	dev.tenants = []tenant{{slug: first.Slug, url: first.URL}, {slug: made.Slug, url: made.URL}}
	for i := range dev.tenants {
		if err := dev.tenants[i].mark(ctx); err != nil {
			return fmt.Errorf("mark %s: %w", dev.tenants[i].slug, err)
		}
	}
	return nil
}

func (tn *tenant) mark(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, tn.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, "SELECT current_database()").Scan(&tn.database); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "INSERT INTO contacts (kind, name) VALUES ('OTHER', $1)", tn.slug)
	return err
}
