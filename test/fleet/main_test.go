package fleet_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/registry"
)

// long makes the tests as large and long as their claim; make soak sets it.
var long = flag.Bool("long", false, "run the tests at full size and length")

// startLimit bounds the build and the first start of both PostgreSQLs.
const startLimit = 3 * time.Minute

// fleet is what all tests share: TestMain sets it, and no test changes it but for
// known. PostgreSQL for the registry and for the tenants are apart, so that one can
// be away while the other is not.
var fleet struct {
	binary    string
	env       []string // of every dermaga
	registry  *cluster
	databases *cluster // of the tenants
	token     registry.Secret
	known     map[string]tenant // by slug
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := withFleet(m)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/fleet:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func withFleet(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	dir, err := os.MkdirTemp("/tmp", "dermaga-fleet-") // where the user postgres can get
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	if fleet.binary, err = dermagatest.Build(ctx, dir, !*long); err != nil {
		return 0, err
	}
	fleet.registry = newCluster(filepath.Join(dir, "registry"))
	fleet.databases = newCluster(filepath.Join(dir, "databases"))
	for _, c := range []*cluster{fleet.registry, fleet.databases} {
		if err := c.start(ctx); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, c.stop()) }()
	}
	if err := furnish(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// furnish makes the registry and an operator's token.
func furnish(ctx context.Context) error {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	fleet.env = []string{
		"REGISTRY_DATABASE_URL=" + fleet.registry.server.URL(),
		"DATABASE_URL=" + fleet.databases.server.URL(),
		"ENCRYPTION_KEY=" + hex.EncodeToString(key[:]),
	}
	fleet.known = map[string]tenant{}
	if _, err := dermaga(ctx, "registry", "migrate"); err != nil {
		return err
	}
	token, err := dermaga(ctx, "registry", "token", "fleet", "--role", "admin")
	fleet.token = registry.Secret(strings.TrimSpace(token))
	return err
}

// dermaga runs a command to its end and returns what it prints.
func dermaga(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, fleet.binary, args...)
	cmd.Env = append(os.Environ(), fleet.env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("dermaga %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}

// bounded is the test's context, and ends it when it takes too long.
func bounded(t *testing.T) context.Context {
	limit := time.Minute
	if *long {
		limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("the test takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// size is small, or with -long as large as the claim.
func size[T any](small, large T) T {
	if *long {
		return large
	}
	return small
}
