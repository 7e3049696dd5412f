package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
)

// devInfo is how to reach a running `dermaga dev`. It has secrets in clear: it
// is for the owner's programs, and written for nobody else to read.
type devInfo struct {
	Broker      string      `json:"broker"` // host:port
	Admin       string      `json:"admin"`  // URL
	AdminToken  string      `json:"admin_token"`
	RegistryURL string      `json:"registry_url"`
	ServerURL   string      `json:"server_url"` // a superuser's
	PID         int         `json:"pid"`
	Tenants     []devTenant `json:"tenants"`
}

type devTenant struct {
	Slug string `json:"slug"`
	URL  string `json:"url"`
}

// infoFile is where `dev` leaves its devInfo for the other commands.
const infoFile = "info.json"

// writeInfo puts info at path in one step: whoever waits for the file never
// sees half of it, nor may anybody else read it.
func writeInfo(path string, info devInfo) error {
	b, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the info file: %w", err)
	}
	return writeSecret(path, append(b, '\n'))
}

// writeSecret replaces path by a file that only its owner can read.
func writeSecret(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // err tells what matters
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func removeInfo(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the info file: %w", err)
	}
	return nil
}

func readInfo(path string) (devInfo, error) {
	var info devInfo
	b, err := os.ReadFile(path)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(b, &info); err != nil {
		return info, fmt.Errorf("%s is not what dermaga dev writes: %w", path, err)
	}
	return info, nil
}

// dataDir is the folder of `dev`: the given one, or the user's own. Root has
// /var/lib: PostgreSQL, which will not run as root, could not reach /root.
func dataDir(o options, s streams) (string, error) {
	switch {
	case o.dataDir != "":
		return filepath.Abs(o.dataDir)
	case os.Geteuid() == 0:
		return "/var/lib/dermaga", nil
	}
	if xdg, ok := s.env("XDG_DATA_HOME"); ok && filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "dermaga"), nil
	}
	if home, ok := s.env("HOME"); ok && home != "" {
		return filepath.Join(home, ".local", "share", "dermaga"), nil
	}
	return "", usageError{errors.New("no data folder: neither XDG_DATA_HOME nor HOME is set; name one with --data")}
}

// runningDev is what a running `dermaga dev` says of itself at path, nothing if none
// runs.
func runningDev(o options, s streams) (info devInfo, path string, err error) {
	dir, err := dataDir(o, s)
	if err != nil {
		return info, "", err
	}
	path = filepath.Join(dir, infoFile)
	info, err = readInfo(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return info, path, err
}

// adminClient finds the admin API: where it was told, or where a running
// `dermaga dev` says. The token in dev's file is for dev's address alone.
func adminClient(o options, s streams) (*client.Client, error) {
	at, token := o.client.url, o.client.token
	if at != "" && token != "" {
		return client.New(at, token), nil
	}
	info, path, err := runningDev(o, s)
	if err != nil {
		return nil, err
	}
	if at == "" {
		at = info.Admin
	}
	if token == "" && at == info.Admin {
		token = registry.Secret(info.AdminToken)
	}
	switch {
	case at == "":
		return nil, usageError{fmt.Errorf("no admin API is known: give --admin-url and --token (DERMAGA_ADMIN_URL, DERMAGA_TOKEN), or start dermaga dev, which would write %s", path)}
	case token == "":
		return nil, usageError{fmt.Errorf("no token for %s: give --token or DERMAGA_TOKEN", at)}
	}
	return client.New(at, token), nil
}
