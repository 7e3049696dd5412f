package suites_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/registry"
)

var (
	wanted = flag.Bool("suites", false, "fetch and run the suites")
	keep   = flag.String("keep", "", "a folder to keep what the suites print in")
	// Most of a suite's tests have one connection, some have ten that wait for
	// each other.
	servers = flag.Int("servers", 20, "server connections for each suite")
)

// startLimit bounds the build, the first start with its initdb, and a stop.
const startLimit = 3 * time.Minute

// dev is the `dermaga dev` that all suites go through. TestMain sets it and
// nothing changes it afterwards.
var dev struct {
	Broker    string `json:"broker"`
	Admin     string `json:"admin"`
	Token     string `json:"admin_token"`
	ServerURL string `json:"server_url"`
	data      string
	api       *client.Client
}

func TestMain(m *testing.M) {
	flag.Parse()
	if !*wanted {
		os.Exit(m.Run())
	}
	code, err := withDev(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/suites:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// withDev runs the suites between the start and the stop of a `dermaga dev`, and
// prints the table of what they found.
func withDev(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "dermaga-suites-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	// PostgreSQL, which is not root even where we are, has to get to its data.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	binary, err := dermagatest.Build(ctx, dir, false)
	if err != nil {
		return 0, err
	}
	p, err := startDev(ctx, binary, dir)
	if err != nil {
		return 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		if err = errors.Join(err, p.Signal(syscall.SIGINT), p.Wait(ctx)); err != nil {
			fmt.Fprintf(os.Stderr, "test/suites: what dev said:\n%s", p.Log)
		}
	}()
	if err := offerTLS(ctx); err != nil {
		return 0, err
	}
	code = m.Run()
	printTable(os.Stdout)
	return code, nil
}

// startDev starts dev and waits for the info file that says it is ready. It ends
// with this process, however that ends.
func startDev(ctx context.Context, binary, dir string) (*dermagatest.Process, error) {
	dev.data = filepath.Join(dir, "data")
	infoFile := filepath.Join(dir, "info.json")
	p, err := dermagatest.Start(binary, nil, "dev", "--data", dev.data, "--info", infoFile,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(infoFile)
		if err == nil && json.Unmarshal(text, &dev) == nil {
			dev.api = client.New(dev.Admin, registry.Secret(dev.Token))
			return p, nil
		}
		select {
		case <-p.Gone():
			return nil, fmt.Errorf("dev ended:\n%s", p.Log)
		case <-ctx.Done():
			return nil, fmt.Errorf("dev is not ready in time: %w\n%s", errors.Join(context.Cause(ctx), p.Kill()), p.Log)
		case <-tick.C:
		}
	}
}
