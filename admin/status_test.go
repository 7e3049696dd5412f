package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

// made provisions a tenant.
func (s *site) made(slug string) registry.Tenant {
	s.Helper()
	_, err := s.client(registry.Operator).CreateTenant(s.Context(), client.NewTenant{Slug: slug})
	require.NoError(s, err)
	return s.tenant(slug)
}

func (s *site) tenant(slug string) registry.Tenant {
	s.Helper()
	t, err := s.cfg.Registry.TenantBySlug(s.Context(), slug)
	require.NoError(s, err)
	return t
}

// around connects to the tenant's database as a broker does, without one.
func (s *site) around(t registry.Tenant) (*pgx.Conn, error) {
	s.Helper()
	c, err := s.cfg.Registry.CurrentCredential(s.Context(), t.ID, registry.App)
	require.NoError(s, err)
	server := pgtest.Server(s)
	u := url.URL{
		Scheme: "postgresql", User: url.UserPassword(c.Role, c.Password.Reveal()),
		Host: server.Host() + ":" + strconv.Itoa(server.Port()), Path: "/" + t.Database, RawQuery: "sslmode=disable",
	}
	conn, err := pgx.Connect(s.Context(), u.String())
	if err == nil {
		s.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func TestSuspendedTenantIsAcknowledgedAndFenced(t *testing.T) {
	s := newSite(t)
	s.addServer()
	s.addBroker("b:1", false)
	tenant := s.made("fenced")
	session, err := s.around(tenant) // a broker that has not heard of it
	require.NoError(t, err)

	operator := s.client(registry.Operator)
	moved, err := operator.SuspendTenant(t.Context(), "fenced", client.Reason{Reason: "unpaid"})
	require.NoError(t, err)
	require.Equal(t, "SUSPENDED", moved.Tenant.Status)
	require.Equal(t, "unpaid", moved.Tenant.StatusReason)
	require.Len(t, moved.Instances, 1)
	require.True(t, moved.Instances[0].Acknowledged)
	require.Equal(t, client.Fence{Closed: true, SessionsEnded: 1}, moved.Fence)
	require.Error(t, session.Ping(t.Context()))
	_, err = s.around(tenant)
	require.ErrorContains(t, err, "too many connections")

	again, err := operator.SuspendTenant(t.Context(), "fenced", client.Reason{})
	require.NoError(t, err, "for whom the first answer was lost")
	require.Equal(t, "unpaid", again.Tenant.StatusReason)

	moved, err = operator.ResumeTenant(t.Context(), "fenced", client.Reason{})
	require.NoError(t, err)
	require.Equal(t, "ACTIVE", moved.Tenant.Status)
	require.Equal(t, client.Fence{}, moved.Fence)
	_, err = s.around(tenant)
	require.NoError(t, err)

	log, err := operator.Activities(t.Context(), "fenced", 4)
	require.NoError(t, err)
	require.Equal(t, "tenant.unfence", log[0].Action)
	require.Equal(t, "tenant.fence", log[2].Action)
	require.Equal(t, "fenced", log[2].Tenant)
	require.Equal(t, "local", log[2].Server)
	require.Contains(t, log[2].Message+log[3].Message, "session(s) ended")
}

func TestBrokerThatHangsIsNamedAndItsSessionsEnded(t *testing.T) {
	s := newSite(t)
	s.addServer()
	tenant := s.made("hung")
	s.addBroker("good:1", false)
	s.addBroker("hung:1", true)
	session, err := s.around(tenant)
	require.NoError(t, err)
	began := time.Now()
	moved, err := s.client(registry.Operator).SuspendTenant(t.Context(), "hung", client.Reason{})
	require.NoError(t, err)
	require.Less(t, time.Since(began), 5*time.Second, "a second for the broker, and then the fence")
	require.True(t, moved.Fence.Closed)
	require.Error(t, session.Ping(t.Context()))
	acknowledged := map[string]bool{}
	for _, i := range moved.Instances {
		acknowledged[i.PeerAddress] = i.Acknowledged
	}
	require.Equal(t, map[string]bool{"good:1": true, "hung:1": false}, acknowledged)
}

func TestDeletedTenantIsKeptForItsGraceAndRestoredSuspended(t *testing.T) {
	s := newSite(t)
	s.addServer()
	tenant := s.made("gone")
	boss := s.client(registry.Admin)
	moved, err := boss.DeleteTenant(t.Context(), "gone", client.Deletion{Reason: "left us", GraceSeconds: 3600})
	require.NoError(t, err)
	require.Equal(t, "DELETED", moved.Tenant.Status)
	require.WithinDuration(t, time.Now().Add(time.Hour), *moved.Tenant.PurgeAfter, time.Minute)
	require.True(t, moved.Fence.Closed)
	_, err = s.around(tenant)
	require.ErrorContains(t, err, "too many connections")
	list, err := boss.Tenants(t.Context(), client.TenantFilter{})
	require.NoError(t, err)
	require.Empty(t, list)
	list, err = boss.Tenants(t.Context(), client.TenantFilter{Status: "DELETED"})
	require.NoError(t, err)
	require.Len(t, list, 1)

	for path, text := range map[string]string{"resume": "dermaga tenant restore gone", "suspend": "dermaga tenant restore gone"} {
		s.requireProblem(s.ask(registry.Admin, http.MethodPost, "/v1/tenants/gone/"+path, ""), http.StatusConflict, text)
	}
	resp := s.ask(registry.Admin, http.MethodPost, "/v1/tenants", `{"slug":"gone"}`)
	s.requireProblem(resp, http.StatusConflict, "dermaga tenant restore gone")

	moved, err = boss.RestoreTenant(t.Context(), "gone", client.Reason{})
	require.NoError(t, err)
	require.Equal(t, "SUSPENDED", moved.Tenant.Status)
	require.True(t, moved.Fence.Closed, "somebody looks first")
	moved, err = boss.ResumeTenant(t.Context(), "gone", client.Reason{})
	require.NoError(t, err)
	require.Equal(t, "ACTIVE", moved.Tenant.Status)
	_, err = s.around(tenant)
	require.NoError(t, err)
	s.requireProblem(s.ask(registry.Admin, http.MethodPost, "/v1/tenants/gone/restore", ""), http.StatusConflict, "ACTIVE")
}

// Two who order the opposite in the same second: what holds in the end, holds at
// the server as well.
func TestContradictingOrdersEndInOneState(t *testing.T) {
	s := newSite(t)
	s.addServer()
	tenant := s.made("torn")
	operator := s.client(registry.Operator)
	const rounds = 6
	done := make(chan error, 2*rounds)
	for range rounds {
		go func() {
			_, err := operator.SuspendTenant(t.Context(), "torn", client.Reason{})
			done <- err
		}()
		go func() {
			_, err := operator.ResumeTenant(t.Context(), "torn", client.Reason{})
			done <- err
		}()
	}
	for range 2 * rounds {
		if err := <-done; err != nil {
			require.Equal(t, http.StatusConflict, client.StatusOf(err), err)
		}
	}
	_, err := s.around(tenant)
	if s.tenant("torn").Status == registry.Active {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, "too many connections")
	}
}

func TestServerThatIsAwayDoesNotKeepATenantFromBeingSuspended(t *testing.T) {
	s := newSite(t)
	s.addServer()
	s.made("cut-off")
	server := pgtest.Server(t)
	move := func(port int) {
		role, password, err := s.cfg.Registry.ServerCredential(t.Context(), s.tenant("cut-off").ServerID)
		require.NoError(t, err)
		_, err = s.cfg.Registry.AddServer(t.Context(), registry.NewServer{
			Name: "local", Host: server.Host(), Port: port, SSLMode: "disable", AdminRole: role, AdminPassword: password, Actor: "test",
		})
		require.NoError(t, err)
	}
	move(1)
	operator := s.client(registry.Operator)
	moved, err := operator.SuspendTenant(t.Context(), "cut-off", client.Reason{})
	require.NoError(t, err)
	require.Equal(t, "SUSPENDED", moved.Tenant.Status)
	require.False(t, moved.Fence.Closed)
	require.Contains(t, moved.Fence.Error, "at server local")
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/tenants/cut-off/resume", ""), http.StatusBadGateway, "not resumed")
	require.Equal(t, registry.Suspended, s.tenant("cut-off").Status)

	move(server.Port())
	moved, err = operator.SuspendTenant(t.Context(), "cut-off", client.Reason{})
	require.NoError(t, err)
	require.Equal(t, client.Fence{Closed: true}, moved.Fence)
}

func TestTenantThatWasNeverFinishedIsRetriedAndNotResumed(t *testing.T) {
	s := newSite(t)
	s.addServer()
	good := pgtest.Server(t).Port()
	role, password, err := s.cfg.Registry.ServerCredential(t.Context(), 1)
	require.NoError(t, err)
	move := func(port int) {
		_, err = s.cfg.Registry.AddServer(t.Context(), registry.NewServer{
			Name: "local", Host: "127.0.0.1", Port: port, SSLMode: "disable", AdminRole: role, AdminPassword: password, Actor: "test",
		})
		require.NoError(t, err)
	}
	move(1)
	resp := s.ask(registry.Operator, http.MethodPost, "/v1/tenants", `{"slug":"second-try","plan":"BUSINESS","poolSize":4}`)
	s.requireProblem(resp, http.StatusInternalServerError, "provisioning failed")
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/tenants/second-try/resume", ""), http.StatusConflict, "dermaga tenant retry second-try")
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/tenants", `{"slug":"second-try"}`), http.StatusConflict, "dermaga tenant retry second-try")

	move(good)
	made, err := s.client(registry.Operator).RetryTenant(t.Context(), "second-try")
	require.NoError(t, err)
	require.Equal(t, "ACTIVE", made.Status)
	require.NotEmpty(t, made.URL)
	tenant := s.tenant("second-try")
	require.Equal(t, "BUSINESS", tenant.Plan)
	require.Equal(t, 4, tenant.Overrides.PoolSize)
	s.requireProblem(s.ask(registry.Operator, http.MethodPost, "/v1/tenants/second-try/retry", ""), http.StatusConflict, "provisioned already")
}
