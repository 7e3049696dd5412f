package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
	"github.com/nusajournal/dermaga/migrations"
	"github.com/nusajournal/dermaga/registry"
)

const (
	devServerName    = "local"
	registryDatabase = "dermaga_registry"

	// devConnections is enough for 50 tenants with pools of the smallest plan.
	devConnections = "500"
)

// A devServer is the PostgreSQL that `dermaga dev` works on: a private one, or
// one that runs already and is left running.
type devServer struct {
	url     registry.Secret   // a superuser's
	private *privatepg.Server // nil: not ours
}

func startDevServer(ctx context.Context, o options, folder *devFolder, log *slog.Logger) (*devServer, error) {
	if o.dev.serverURL != "" {
		return &devServer{url: o.dev.serverURL}, nil
	}
	private, err := privatepg.Start(ctx, privatepg.Config{
		Bin: o.dev.postgresBin, Data: folder.file("postgres"), Password: folder.keep.Postgres,
		Settings: map[string]string{"max_connections": devConnections},
		Fetch:    true, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the private PostgreSQL: %w", err)
	}
	return &devServer{url: registry.Secret(private.URL()), private: private}, nil
}

func (s *devServer) stop() error {
	if s.private == nil {
		return nil
	}
	return s.private.Stop()
}

// watch returns when ctx ends, or with an error when the private server did.
func (s *devServer) watch(ctx context.Context) error {
	var gone <-chan struct{}
	if s.private != nil {
		gone = s.private.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-gone:
		return errors.New("the private PostgreSQL has ended; server.log in the data folder may say why")
	}
}

// makeRegistry makes the registry's database on the server, closed to tenants,
// and brings its schema up to date. It returns its URL.
func makeRegistry(ctx context.Context, server registry.Secret) (registry.Secret, error) {
	if err := makeRegistryDatabase(ctx, server); err != nil {
		return "", fmt.Errorf("make the registry's database: %w", err)
	}
	u, err := url.Parse(server.Reveal())
	if err != nil {
		return "", errors.New("server URL: not a URL") // err may quote the password
	}
	u.Path = "/" + registryDatabase
	if err := migrations.Registry(ctx, u.String()); err != nil {
		return "", fmt.Errorf("migrate the registry: %w", err)
	}
	return registry.Secret(u.String()), nil
}

func makeRegistryDatabase(ctx context.Context, server registry.Secret) error {
	conn, err := pgx.Connect(ctx, server.Reveal())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	const look = `SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)`
	if err := conn.QueryRow(ctx, look, registryDatabase).Scan(&there); err != nil {
		return err
	}
	if !there {
		if _, err := conn.Exec(ctx, `CREATE DATABASE `+registryDatabase+` TEMPLATE template0 ENCODING 'UTF8'`); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, `REVOKE ALL ON DATABASE `+registryDatabase+` FROM PUBLIC`)
	return err
}
