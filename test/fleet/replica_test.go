package fleet_test

import (
	"context"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/internal/dermagatest"
	"github.com/nusajournal/dermaga/registry"
)

// A replica is a running `dermaga serve`.
type replica struct {
	*dermagatest.Process
	broker, admin string // HOST:PORT
	api           *client.Client
}

// endLimit bounds the end of a replica that was told to: its drain takes 30 s.
const endLimit = 45 * time.Second

// lastWords are the lines of a replica's log that a failed test shows.
const lastWords = 40

// serve starts a replica and returns when it is ready. It ends with the test.
func serve(t *testing.T, args ...string) *replica { return serveAt(t, "127.0.0.1:0", args...) }

// serveAt is serve where clients know already where it listens.
func serveAt(t *testing.T, listen string, args ...string) *replica {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	args = append([]string{"serve", "--log-format", "json", "--listen", listen, "--admin-listen", "127.0.0.1:0"}, args...)
	p, err := dermagatest.Start(fleet.binary, fleet.env, args...)
	require.NoError(t, err)
	r := &replica{Process: p}
	t.Cleanup(func() { r.end(t) })
	serving, err := p.Log.Await(ctx, "serving", nil)
	require.NoError(t, err)
	r.broker, r.admin = serving.Text("broker"), serving.Text("admin")
	r.api = client.New("http://"+r.admin, fleet.token)
	await(ctx, t, "a replica that is ready", func() bool { return r.status(ctx, "/ready") == http.StatusOK })
	return r
}

// end tells the replica to end, unless the test has: it must end well.
func (r *replica) end(t *testing.T) {
	if r.api != nil {
		r.api.Close()
	}
	select {
	case <-r.Gone():
	default:
		ctx, cancel := context.WithTimeout(context.Background(), endLimit)
		defer cancel()
		require.NoError(t, r.Signal(syscall.SIGCONT))
		require.NoError(t, r.Signal(syscall.SIGTERM))
		if err := r.Wait(ctx); err != nil {
			t.Errorf("replica %d did not end well: %v", r.PID(), err)
		}
	}
	if t.Failed() {
		t.Logf("what replica %d said last:\n%s", r.PID(), r.Log.Tail(lastWords))
	}
}

// status is the HTTP status of a path that needs no token, 0 without an answer.
func (r *replica) status(ctx context.Context, path string) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+path, nil)
	if err != nil {
		return 0
	}
	request.Close = true // keeps no goroutine
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// A tenant was made through a replica; its login works through all.
type tenant struct {
	client.Tenant
	user *url.Userinfo
}

// at is where clients of the tenant connect through r.
func (tn tenant) at(r *replica) string {
	u := url.URL{
		Scheme: "postgresql", User: tn.user, Host: r.broker, Path: "/" + tn.Slug,
		RawQuery: "sslmode=disable&connect_timeout=60",
	}
	return u.String()
}

func (tn tenant) role() string { return registry.RoleNames(tn.ID).App }

// settle returns the tenant of that slug, with limits as wanted, and makes it if no
// test has before.
func (r *replica) settle(ctx context.Context, t *testing.T, want client.NewTenant) tenant {
	t.Helper()
	tn, known := fleet.known[want.Slug]
	if known {
		_, err := r.api.SetTenant(ctx, want.Slug, client.TenantChange{PoolSize: &want.PoolSize, MaxClients: &want.MaxClients})
		require.NoError(t, err)
		return tn
	}
	made, err := r.api.CreateTenant(ctx, want)
	require.NoError(t, err)
	u, err := url.Parse(made.URL)
	require.NoError(t, err)
	tn.user = u.User
	tn.Tenant, err = r.api.Tenant(ctx, want.Slug)
	require.NoError(t, err)
	fleet.known[want.Slug] = tn
	return tn
}
