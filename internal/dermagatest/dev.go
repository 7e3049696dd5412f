package dermagatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// devLimit bounds the build, the first start with its initdb, and the end.
const devLimit = 3 * time.Minute

// A Dev is a running `dermaga dev`: a private PostgreSQL, the registry, the tenant
// demo, broker and admin API.
type Dev struct {
	*Process
	Info   DevInfo
	Dir    string // for files of the run, where PostgreSQL may read too
	Binary string
}

// DevInfo is what `dermaga dev --info` writes when it is ready.
type DevInfo struct {
	Broker      string `json:"broker"`
	Admin       string `json:"admin"`
	Token       string `json:"admin_token"`
	RegistryURL string `json:"registry_url"`
	ServerURL   string `json:"server_url"`
	Tenants     []struct {
		Slug string `json:"slug"`
		URL  string `json:"url"`
	} `json:"tenants"`
}

// MainWithDev runs m's tests between the start and the end of a `dermaga dev`, and
// exits. prepare gets it before the first test. Args are added to its own. That dev
// does not end by itself when it is asked to is a failure.
func MainWithDev(m *testing.M, name string, prepare func(ctx context.Context, d *Dev) error, args ...string) {
	code, err := withDev(m, name, prepare, args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func withDev(m *testing.M, name string, prepare func(ctx context.Context, d *Dev) error, args []string) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), devLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "dermaga-"+strings.ReplaceAll(name, "/", "-")+"-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	// PostgreSQL, which is not root even where we are, has to get to its data.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	d, err := startDev(ctx, dir, args)
	if err != nil {
		return 0, err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), devLimit)
		defer cancel()
		err = errors.Join(err, d.Signal(syscall.SIGINT), d.Wait(ending))
		if code != 0 || err != nil {
			fmt.Fprintf(os.Stderr, "%s: what dev said:\n%s\n", name, d.Log.Tail(30))
		}
	}()
	if err := prepare(ctx, d); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func startDev(ctx context.Context, dir string, args []string) (*Dev, error) {
	d := &Dev{Dir: dir}
	var err error
	if d.Binary, err = Build(ctx, dir, true); err != nil {
		return nil, err
	}
	infoFile := filepath.Join(dir, "info.json")
	d.Process, err = Start(d.Binary, nil, append([]string{
		"dev", "--data", filepath.Join(dir, "data"), "--info", infoFile,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
	}, args...)...)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(infoFile)
		if err == nil && json.Unmarshal(text, &d.Info) == nil {
			return d, nil
		}
		select {
		case <-d.Gone():
			return nil, fmt.Errorf("dev ended:\n%s", d.Log)
		case <-ctx.Done():
			return nil, errors.Join(errors.New("dev is not ready in time"), d.Kill())
		case <-tick.C:
		}
	}
}

// Run runs the command as an operator of d does, with --json, and returns what it
// prints.
func (d *Dev) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.Binary, append(args, "--json", "--admin-url", d.Info.Admin)...)
	cmd.Env = append(Environ(), "DERMAGA_TOKEN="+d.Info.Token)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("dermaga %s: %w: %s%s", strings.Join(args, " "), err, out, said.String())
	}
	return out, nil
}

// URL is what Run says of the connection URL of a tenant or login, a service's
// without a database.
func (d *Dev) URL(ctx context.Context, args ...string) (string, error) {
	out, err := d.Run(ctx, args...)
	if err != nil {
		return "", err
	}
	var made struct{ URL string }
	if err := json.Unmarshal(out, &made); err != nil {
		return "", fmt.Errorf("what dermaga %s prints: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSuffix(made.URL, "{slug}"), nil
}

// Around is the URL of a database for the server's superuser, past the broker.
func (d *Dev) Around(database string) string {
	u, err := url.Parse(d.Info.ServerURL)
	if err != nil {
		panic(err) // dev wrote it
	}
	u.Path = "/" + database
	return u.String()
}
