package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

// defaultServer is the name of the server that DATABASE_URL names.
const defaultServer = "default"

func newServe(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker and the admin API",
		Long: `Run the broker and the admin API, or one of them, until SIGINT or SIGTERM. Then /ready
says no, nobody new is let in, clients in a transaction get --drain-timeout to finish, and
idle ones are closed last; a second signal ends the process at once. The registry must
have been prepared once by: dermaga registry migrate`,
		Args: noArgs,
	}
	settings := takeSettings(cmd, s, serveGroups...).refuseUnknown()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := settings.resolveServe()
		if err != nil {
			return err
		}
		return serve(cmd.Context(), o, newLog(o, s))
	}
	return cmd
}

func serve(ctx context.Context, o options, log *slog.Logger) error {
	d, err := openDoors(ctx, o)
	if err != nil {
		return err
	}
	defer d.close()
	reg, err := openRegistry(ctx, o, d, log)
	if err != nil {
		return err
	}
	defer reg.Close()
	if err := addFirstServer(ctx, o, reg, log); err != nil {
		return err
	}
	sys, err := assemble(ctx, o, d, reg, log)
	if err != nil {
		return err
	}
	log.Info(eventServing, keyBroker, d.brokerAddress(), keyAdmin, d.admin.Addr().String(), keyPeer, d.peerAddress(),
		keyAdminAPI, !o.parts.noAdmin, keyVersion, thisBuild().Version)
	notify(log, daemon.SdNotifyReady)
	defer context.AfterFunc(ctx, func() { notify(log, daemon.SdNotifyStopping) })()
	err = sys.run(ctx, nil)
	log.Info(eventEnded)
	return err
}

// notify tells systemd, where that has started the process (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn(eventNotify, "err", err)
	}
}

// addFirstServer puts the server of DATABASE_URL into a registry that has none.
func addFirstServer(ctx context.Context, o options, reg *registry.Registry, log *slog.Logger) error {
	known, err := reg.Servers(ctx)
	if err != nil || len(known) > 0 {
		return err
	}
	if o.tenants.url == "" {
		log.Warn(eventNoServer, keyAdvice, "set DATABASE_URL once")
		return nil
	}
	return addServer(ctx, reg, serverAt{
		name: defaultServer, url: o.tenants.url, host: o.tenants.host, port: o.tenants.port,
	}, log)
}

// serverAt is a server to put into the registry.
type serverAt struct {
	name string
	url  registry.Secret // a superuser's, or a role's that may make databases and roles
	host string          // where the broker reaches it; "": the URL's
	port int             // 0: the URL's
}

// addServer prepares the server for tenants and puts it into the registry, or
// brings its address there up to date.
func addServer(ctx context.Context, reg *registry.Registry, at serverAt, log *slog.Logger) error {
	cfg, err := pgx.ParseConfig(at.url.Reveal())
	if err != nil {
		return fmt.Errorf("server %s: not a connection URL", at.name) // err may quote the password
	}
	mode, ca, err := tlsOf(at.url)
	if err != nil {
		return fmt.Errorf("server %s: %w", at.name, err)
	}
	if at.host == "" {
		at.host = cfg.Host
	}
	if at.port == 0 {
		at.port = int(cfg.Port)
	}
	ready, err := provision.PrepareServer(ctx, at.url, registry.NewPassword())
	if err != nil {
		return err
	}
	_, err = reg.AddServer(ctx, registry.NewServer{
		Name: at.name, Host: at.host, Port: at.port, SSLMode: mode, CAPEM: ca, ConnectionBudget: ready.Budget,
		AdminRole: ready.Role, AdminPassword: ready.Password, Actor: "dermaga",
	})
	if err != nil {
		return fmt.Errorf("put server %s into the registry: %w", at.name, err)
	}
	log.Info(eventServer, keyServer, at.name, keyHost, at.host, keyPort, at.port, keyRole, ready.Role, keyVersion, ready.Version)
	if !ready.MayEnd {
		log.Warn(eventNoSignal, keyServer, at.name, keyRole, ready.Role, keyAdvice, "as a superuser, GRANT pg_signal_backend to the role")
	}
	for _, name := range ready.Open {
		log.Warn(eventOpenToThose, keyServer, at.name, keyDatabase, name, keyAdvice, "REVOKE CONNECT ON DATABASE … FROM PUBLIC")
	}
	return nil
}

// tlsOf is what the URL asks for; the broker does the same.
func tlsOf(u registry.Secret) (sslMode, caPEM string, err error) {
	parsed, err := url.Parse(u.Reveal())
	if err != nil {
		return "", "", errors.New("not a connection URL") // err may quote the password
	}
	if file := parsed.Query().Get("sslrootcert"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return "", "", fmt.Errorf("sslrootcert: %w", err)
		}
		caPEM = string(pem)
	}
	return parsed.Query().Get("sslmode"), caPEM, nil
}
