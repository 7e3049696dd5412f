package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// startLimit bounds the build, the first start with its initdb, and a stop.
const startLimit = 3 * time.Minute

// dev is the `dermaga dev` that all tests go through. TestMain sets it and
// nothing changes it afterwards.
var dev struct {
	info
	data    string
	tenants []tenant
}

// info is what `dermaga dev --info` writes when it is ready.
type info struct {
	Broker    string `json:"broker"`
	Admin     string `json:"admin"`
	Token     string `json:"admin_token"`
	ServerURL string `json:"server_url"`
	Tenants   []struct {
		Slug string `json:"slug"`
		URL  string `json:"url"`
	} `json:"tenants"`
}

func TestMain(m *testing.M) {
	code, err := withDev(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/clients:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// withDev runs the tests between the start and the stop of a `dermaga dev` with
// a second tenant. It is an error if dev does not end by itself when asked.
func withDev(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()

	dir, err := os.MkdirTemp("", "dermaga-clients-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	// PostgreSQL, which is not root even where we are, has to get to its data.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}

	binary, err := dermagatest.Build(ctx, dir, true)
	if err != nil {
		return 0, err
	}
	var said bytes.Buffer // read only when dev has ended
	stop, err := startDev(ctx, binary, dir, &said)
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, stop())
		if code != 0 || err != nil {
			fmt.Fprintf(os.Stderr, "test/clients: what dev said:\n%s", said.Bytes())
		}
	}()

	if err := addTenants(ctx, binary); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// startDev starts dev and waits for the info file that says it is ready.
func startDev(ctx context.Context, binary, dir string, said *bytes.Buffer) (stop func() error, err error) {
	dev.data = filepath.Join(dir, "data")
	infoFile := filepath.Join(dir, "info.json")
	p := exec.Command(binary, "dev", "--data", dev.data, "--info", infoFile,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.Stdout, p.Stderr = said, said
	if err := p.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()

	stop = func() error {
		if err := p.Process.Signal(syscall.SIGINT); err != nil {
			return fmt.Errorf("dev ended before it was asked to: %w", err)
		}
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("dev did not end well: %w", err)
			}
			return nil
		case <-time.After(startLimit):
			return errors.Join(errors.New("dev does not end"), p.Process.Kill(), <-ended)
		}
	}

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(infoFile)
		if err == nil && json.Unmarshal(text, &dev.info) == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("dev ended: %w\n%s", err, said.Bytes())
		case <-ctx.Done():
			err := errors.Join(errors.New("dev is not ready in time"), p.Process.Kill(), <-ended)
			return nil, fmt.Errorf("%w\n%s", err, said.Bytes())
		case <-tick.C:
		}
	}
}

// addTenants creates a second tenant as a user would and marks both with a row
// of their own: who sees another tenant's data sees the wrong name.
func addTenants(ctx context.Context, binary string) error {
	dev.tenants = []tenant{{slug: dev.Tenants[0].Slug, url: dev.Tenants[0].URL}}

	create := exec.CommandContext(ctx, binary, "tenant", "create", "pt-media-nusa",
		"--name", "PT Media Nusa", "--plan", "BUSINESS", "--json", "--admin-url", dev.Admin)
	create.Env = append(os.Environ(), "DERMAGA_TOKEN="+dev.Token)
	create.Stderr = os.Stderr
	out, err := create.Output()
	if err != nil {
		return fmt.Errorf("create the second tenant: %w", err)
	}
	var made struct{ Slug, Status, URL string }
	if err := json.Unmarshal(out, &made); err != nil {
		return fmt.Errorf("what tenant create --json prints: %w", err)
	}
	dev.tenants = append(dev.tenants, tenant{slug: made.Slug, url: made.URL})

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
