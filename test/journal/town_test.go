package journal_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// maxTenants are fewer than there are companies: the API closes and opens pools all
// the time, those in use included.
const maxTenants = "7"

// A town is companies of one test's own, and the file of their users.
type town struct {
	companies []*company
	users     string
}

// settled counts the companies of all towns: no two have a number in common.
var settled atomic.Int64

// settle makes n companies, as an operator would, each with a user.
func settle(ctx context.Context, t *testing.T, n int) *town {
	t.Helper()
	tn := &town{users: filepath.Join(t.TempDir(), "users.json")}
	var making errgroup.Group
	making.SetLimit(4)
	for range n {
		c := newCompany(int(settled.Add(1)))
		tn.companies = append(tn.companies, c)
		making.Go(func() error {
			_, err := world.Run(ctx, "tenant", "create", c.slug, "--name", "PT "+c.slug, "--plan", "BUSINESS")
			return err
		})
	}
	require.NoError(t, making.Wait())
	require.NoError(t, tn.writeUsers(ctx))
	return tn
}

// writeUsers gives each company a user, as putUser would, but all with one hash,
// and that of the fewest iterations allowed: with -race, putUser takes seconds.
func (tn *town) writeUsers(ctx context.Context) error {
	const iterations = 100_000
	salt := []byte("sixteen bytes of")
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, 32)
	if err != nil {
		return err
	}
	b := base64.RawStdEncoding
	hash := fmt.Sprintf("pbkdf2-sha256$%d$%s$%s", iterations, b.EncodeToString(salt), b.EncodeToString(key))
	type user struct {
		Email    string   `json:"email"`
		Password string   `json:"password"`
		Tenants  []string `json:"tenants"`
	}
	var users []user
	for _, c := range tn.companies {
		users = append(users, user{c.email, hash, []string{c.slug}})
		if err := c.insertUser(ctx); err != nil {
			return fmt.Errorf("user of %s: %w", c.slug, err)
		}
	}
	text, err := json.Marshal(users)
	if err != nil {
		return err
	}
	return os.WriteFile(tn.users, text, 0o600)
}

func (c *company) insertUser(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(world.brokerURL)
	if err != nil {
		return err
	}
	cfg.Database = c.slug
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "INSERT INTO users (email, name, role) VALUES ($1, $1, 'ACCOUNTANT')", c.email)
	return err
}

// putUser runs the API's own command for it.
func (tn *town) putUser(ctx context.Context, email, slugs string) error {
	put := exec.CommandContext(ctx, world.api, "user", "-users", tn.users, "-email", email, "-name", email, "-role", "ACCOUNTANT", "-tenants", slugs)
	put.Env = append(os.Environ(), "JOURNAL_BROKER_URL="+world.brokerURL)
	put.Stdin = strings.NewReader(password + "\n")
	if out, err := put.CombinedOutput(); err != nil {
		return fmt.Errorf("put the user %s: %w\n%s", email, err, out)
	}
	return nil
}

// serve runs the API against a broker until the test ends, and returns its
// address.
func (tn *town) serve(ctx context.Context, t *testing.T, brokerURL string) string {
	t.Helper()
	api, err := dermagatest.Start(world.api, []string{"JOURNAL_BROKER_URL=" + brokerURL},
		"serve", "-listen", "127.0.0.1:0", "-users", tn.users, "-max-tenants", maxTenants, "-log-json")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(api.Signal(syscall.SIGTERM), api.Wait(ctx)); err != nil {
			t.Errorf("the journal API did not end well: %v", err)
		}
		if t.Failed() {
			for line := range strings.Lines(api.Log.String()) {
				if strings.Contains(line, `"level":"ERROR"`) {
					t.Log("the journal API: ", line)
				}
			}
			t.Logf("the last that it said:\n%s", api.Log.Tail(20))
		}
	})
	line, err := api.Log.Await(ctx, "serving", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, api.Log)
	}
	return line.Text("address")
}
