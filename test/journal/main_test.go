package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

const (
	// startLimit bounds the builds and the first start of PostgreSQL.
	startLimit = 5 * time.Minute
	stopLimit  = time.Minute

	example = "../../examples/journal-api"
)

// world is what all tests share: TestMain sets it and no test changes it.
var world struct {
	dir     string
	dermaga string // binaries
	api     string
	info    struct {
		Broker    string `json:"broker"`
		Admin     string `json:"admin"`
		Token     string `json:"admin_token"`
		ServerURL string `json:"server_url"`
	}
	brokerURL string // of the API's service login, without a database
}

func TestMain(m *testing.M) {
	code, err := withWorld(m)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/journal:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func withWorld(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if world.dir, err = os.MkdirTemp("/tmp", "dermaga-journal-"); err != nil { // where the user postgres can get
		return 0, err
	}
	defer os.RemoveAll(world.dir)
	if err := os.Chmod(world.dir, 0o755); err != nil {
		return 0, err
	}
	if world.dermaga, err = dermagatest.Build(ctx, world.dir, true); err != nil {
		return 0, err
	}
	if err := buildExample(ctx); err != nil {
		return 0, err
	}
	dev, err := startDev(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		err = errors.Join(err, dev.Signal(syscall.SIGINT), dev.Wait(ctx))
		if code != 0 || err != nil {
			fmt.Fprintf(os.Stderr, "test/journal: the last that dev said:\n%s\n", dev.Log.Tail(40))
		}
	}()
	if err := makeLogin(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// buildExample builds the API as its README says. go test takes note of the files
// that are looked at, and does not answer from its cache after one has changed.
func buildExample(ctx context.Context) error {
	for _, sources := range []string{example, "../../tenancy"} {
		err := filepath.WalkDir(sources, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("look at the sources: %w", err)
		}
	}
	world.api = filepath.Join(world.dir, "journal-api")
	build := exec.CommandContext(ctx, "go", "build", "-race", "-o", world.api, ".")
	build.Dir = example
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the example: %w\n%s", err, out)
	}
	return nil
}

// startDev starts dev and waits for the info file that says it is ready.
func startDev(ctx context.Context) (*dermagatest.Process, error) {
	file := filepath.Join(world.dir, "info.json")
	dev, err := dermagatest.Start(world.dermaga, nil, "dev", "--data", filepath.Join(world.dir, "data"),
		"--info", file, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(text, &world.info) == nil {
			return dev, nil
		}
		select {
		case <-tick.C:
		case <-dev.Gone():
			return nil, fmt.Errorf("dev ended:\n%s", dev.Log)
		case <-ctx.Done():
			return nil, errors.Join(errors.New("dev is not ready in time"), dev.Kill())
		}
	}
}

// makeLogin makes the login that the API uses for every company.
func makeLogin(ctx context.Context) error {
	out, err := dermaga(ctx, "login", "create", "journal-api", "--service", "--grant", "all", "--json")
	if err != nil {
		return err
	}
	var login struct{ URL string }
	if err := json.Unmarshal(out, &login); err != nil {
		return fmt.Errorf("what login create --json prints: %w", err)
	}
	world.brokerURL = strings.Replace(login.URL, "{slug}", "", 1) // the tenancy package puts the slug there
	return nil
}

// dermaga runs a command to its end and returns what it prints.
func dermaga(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, world.dermaga, args...)
	cmd.Env = append(os.Environ(), "DERMAGA_ADMIN_URL="+world.info.Admin, "DERMAGA_TOKEN="+world.info.Token)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("dermaga %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return out, nil
}
