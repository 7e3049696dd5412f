package nestjs_test

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

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// startLimit bounds the build, the first start with its initdb, and a stop.
const startLimit = 3 * time.Minute

// dev is the `dermaga dev` that all tests use. TestMain sets it and nothing
// changes it afterwards.
var dev struct {
	info
	dir     string // for files of this run
	binary  string
	url     string // of the application's login, without a database
	tenants []tenant
}

// info is what `dermaga dev --info` writes when it is ready.
type info struct {
	Broker      string `json:"broker"`
	Admin       string `json:"admin"`
	Token       string `json:"admin_token"`
	RegistryURL string `json:"registry_url"`
	ServerURL   string `json:"server_url"`
}

// A tenant is one of two whose rows must not meet.
type tenant struct {
	slug     string
	database string // on the private server
}

func TestMain(m *testing.M) {
	code, err := withDev(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/nestjs:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// withDev runs the tests between the start and the end of a `dermaga dev`.
func withDev(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if dev.dir, err = os.MkdirTemp("", "dermaga-nestjs-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dev.dir)
	// PostgreSQL, which is not root even where we are, has to get to its data.
	if err := os.Chmod(dev.dir, 0o755); err != nil {
		return 0, err
	}
	if dev.binary, err = dermagatest.Build(ctx, dev.dir, true); err != nil {
		return 0, err
	}
	infoFile := filepath.Join(dev.dir, "info.json")
	p, err := dermagatest.Start(dev.binary, nil, "dev", "--data", filepath.Join(dev.dir, "data"), "--info", infoFile,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--migration-wait-timeout", "300ms")
	if err != nil {
		return 0, err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		err = errors.Join(err, p.Signal(syscall.SIGINT), p.Wait(ending))
		if code != 0 || err != nil {
			fmt.Fprintf(os.Stderr, "test/nestjs: what dev said:\n%s\n", p.Log.Tail(30))
		}
	}()
	if err := awaitInfo(ctx, p, infoFile); err != nil {
		return 0, err
	}
	if err := prepare(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func awaitInfo(ctx context.Context, p *dermagatest.Process, file string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(text, &dev.info) == nil {
			return nil
		}
		select {
		case <-p.Gone():
			return errors.New("dev ended")
		case <-ctx.Done():
			return errors.New("dev is not ready in time")
		case <-tick.C:
		}
	}
}

// prepare makes a second tenant and the application's login, and gives each
// tenant a user of its own past the broker: whoever gets another's rows sees it.
func prepare(ctx context.Context) error {
	if _, err := dermaga(ctx, "tenant", "create", "pt-media-nusa", "--name", "PT Media Nusa", "--plan", "BUSINESS"); err != nil {
		return err
	}
	made, err := login(ctx, "journal-api", "--service", "--grant", "all")
	if err != nil {
		return err
	}
	dev.url = made
	for _, slug := range []string{"demo", "pt-media-nusa"} {
		tn := tenant{slug: slug, database: "nusa_journal_" + strings.ReplaceAll(slug, "-", "_")}
		conn, err := pgx.Connect(ctx, around(tn.database))
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "INSERT INTO users (email, name) VALUES ($1, $2)", tn.marker(), slug)
		if err = errors.Join(err, conn.Close(ctx)); err != nil {
			return fmt.Errorf("mark %s: %w", slug, err)
		}
		dev.tenants = append(dev.tenants, tn)
	}
	return nil
}

// marker is the address of a user that only this tenant has.
func (tn tenant) marker() string { return "first@" + tn.slug }

// dermaga runs the command as an operator does and returns what it prints.
func dermaga(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, dev.binary, append(args, "--json", "--admin-url", dev.Admin)...)
	cmd.Env = append(dermagatest.Environ(), "DERMAGA_TOKEN="+dev.Token)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("dermaga %s: %w: %s%s", strings.Join(args[:2], " "), err, out, said.String())
	}
	return out, nil
}

// login makes a login and returns its URL, a service's without a database.
func login(ctx context.Context, name string, args ...string) (string, error) {
	out, err := dermaga(ctx, append([]string{"login", "create", name}, args...)...)
	if err != nil {
		return "", err
	}
	var made struct{ URL string }
	if err := json.Unmarshal(out, &made); err != nil {
		return "", fmt.Errorf("what login create prints: %w", err)
	}
	return strings.TrimSuffix(made.URL, "{slug}"), nil
}

// around is the URL of a database for the server's superuser, past the broker.
func around(database string) string {
	u, err := url.Parse(dev.ServerURL)
	if err != nil {
		panic(err) // dev wrote it
	}
	u.Path = "/" + database
	return u.String()
}

func connect(t *testing.T, at string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}
