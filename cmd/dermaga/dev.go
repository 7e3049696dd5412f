package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

const (
	demoSlug = "demo"
	demoName = "PT Demo Nusantara"
	devActor = "dermaga dev"
)

func newDev(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything here and now: PostgreSQL, registry, broker, admin API, tenant demo",
		Long: `Run a whole Dermaga with one command. PostgreSQL is started from the installed
programs (or fetched once), listens on loopback and ends with this process; all data
stays in the data folder, and the next start finds it there.`,
		Args: noArgs,
	}
	settings := takeSettings(cmd, s, dataGroup, devGroup, brokerGroup, adminGroup, logGroup).refuseUnknown()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := settings.resolve()
		if err != nil {
			return err
		}
		o.usualDir = o.dataDir == ""
		if o.dataDir, err = dataDir(o, s); err != nil {
			return err
		}
		return dev(cmd.Context(), o, cmd.OutOrStdout(), newLog(o, s))
	}
	cmd.AddCommand(newDevURL(s))
	return cmd
}

// newDevURL is for a shell: psql "$(dermaga dev url)".
func newDevURL(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "url",
		Short: "Print the connection URL of the tenant demo of a running dermaga dev, password included",
		Args:  noArgs,
	}
	settings := takeSettings(cmd, s, dataGroup)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := settings.resolve()
		if err != nil {
			return err
		}
		info, path, err := runningDev(o, s)
		switch {
		case err != nil:
			return err
		case len(info.Tenants) == 0:
			return fmt.Errorf("no dermaga dev runs: it would have written %s", path)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), info.Tenants[0].URL)
		return err
	}
	return cmd
}

// dev starts, in this order: nothing at all before the addresses and the folder
// are its own; then PostgreSQL, registry, broker and admin API; then the tenant
// demo. It ends them in the opposite order.
func dev(ctx context.Context, o options, out io.Writer, log *slog.Logger) (err error) {
	d, err := openDoors(ctx, o)
	if err != nil {
		return err
	}
	defer d.close()
	folder, err := openDevFolder(o.dataDir)
	if err != nil {
		return err
	}
	defer folder.close()
	infoFiles, err := clearInfo(o, folder)
	if err != nil {
		return err
	}
	if o, err = devSecurity(o, folder); err != nil {
		return err
	}

	server, err := startDevServer(ctx, o, folder, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if o.registry.url, err = makeRegistry(ctx, server.url); err != nil {
		return err
	}
	reg, err := openRegistry(ctx, o, d, log)
	if err != nil {
		return err
	}
	defer reg.Close()
	if err := addServer(ctx, reg, serverAt{name: devServerName, url: server.url}, log); err != nil {
		return err
	}
	sys, err := assemble(ctx, o, d, reg, log)
	if err != nil {
		return err
	}
	defer func() {
		for _, path := range infoFiles {
			err = errors.Join(err, removeInfo(path))
		}
	}()
	return sys.run(ctx, func(ctx context.Context) error {
		info, err := furnish(ctx, sys, folder)
		if err != nil {
			return err
		}
		info.RegistryURL, info.ServerURL = o.registry.url.Reveal(), server.url.Reveal()
		for _, path := range infoFiles {
			if err := writeInfo(path, info); err != nil {
				return err
			}
		}
		if err := welcome(out, info, folder.path, o.usualDir); err != nil {
			return err
		}
		return server.watch(ctx)
	})
}

// clearInfo returns where the info goes, and takes away what an earlier run that
// was killed left there: whoever waits for the file must not read that.
func clearInfo(o options, folder *devFolder) ([]string, error) {
	paths := []string{folder.file(infoFile)}
	if o.dev.info != "" {
		path, err := filepath.Abs(o.dev.info)
		if err != nil {
			return nil, fmt.Errorf("info file %s: %w", o.dev.info, err)
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, usageError{fmt.Errorf("--info=%s: its folder: %w", o.dev.info, err)}
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		if err := removeInfo(path); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// devSecurity fills in the folder's own key and certificate.
func devSecurity(o options, folder *devFolder) (options, error) {
	var err error
	if o.registry.keys, err = folder.key(); err != nil {
		return o, err
	}
	if o.broker.tlsCert == "" && o.broker.tlsKey == "" {
		o.broker.tlsCert, o.broker.tlsKey, err = folder.certificate()
	}
	return o, err
}

// furnish makes the admin token and the tenant demo, or finds those of an
// earlier run.
func furnish(ctx context.Context, sys *system, folder *devFolder) (devInfo, error) {
	if err := ensureToken(ctx, sys.reg, folder); err != nil {
		return devInfo{}, err
	}
	password := registry.Secret(folder.keep.Demo)
	_, err := provision.Resume(ctx, sys.provision(), provision.Request{
		Slug: demoSlug, Name: demoName, Password: password, Actor: devActor,
	})
	if err != nil && !errors.Is(err, provision.ErrProvisioned) {
		return devInfo{}, fmt.Errorf("provision tenant %s: %w", demoSlug, err)
	}
	return devInfo{
		Broker:     sys.address(),
		Admin:      "http://" + reachable(sys.doors.admin.Addr()),
		AdminToken: folder.keep.Token,
		PID:        os.Getpid(),
		Tenants:    []devTenant{{Slug: demoSlug, URL: sys.tenantURL(demoSlug, provision.LoginName, password)}},
	}, nil
}

func ensureToken(ctx context.Context, reg *registry.Registry, folder *devFolder) error {
	if folder.keep.Token != "" {
		_, err := reg.TokenRole(ctx, registry.Secret(folder.keep.Token))
		if err == nil || !errors.Is(err, registry.ErrNotFound) {
			return err
		}
	}
	token, err := reg.CreateToken(ctx, "dev", registry.Admin)
	if err != nil {
		return fmt.Errorf("make the admin token: %w", err)
	}
	folder.keep.Token = token.Reveal()
	return folder.save()
}

// welcome prints lines to paste: the command is named as it was called.
func welcome(out io.Writer, info devInfo, data string, usual bool) error {
	create := os.Args[0] + ` tenant create pt-media-nusa --name "PT Media Nusa" --plan STARTER`
	if !usual {
		create += " --data " + data
	}
	url := info.Tenants[0].URL
	_, err := fmt.Fprintf(out, `
Dermaga is ready.

  broker     %s
  admin API  %s
  data       %s
  for programs: token and URLs in %s

Paste one of these:

  psql '%s'
  psql '%s' -c 'select code, name_id from accounts limit 5'
  %s

Ctrl-C ends everything; the data stays.
`, info.Broker, info.Admin, data, filepath.Join(data, infoFile), url, url, create)
	return err
}
