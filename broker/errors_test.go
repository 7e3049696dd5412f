package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/registry"
)

// Whoever alerts on PgBouncer's words finds them, at the start of the message or of
// the detail, under an SQLSTATE that drivers understand.
func TestRefusalsHaveTheWordsThatUsersOfPoolersLookFor(t *testing.T) {
	limited := func(limit func(*registry.Entry)) func(*town) {
		return func(w *town) { w.alter("one", "one", limit) }
	}
	same := func(*town) {}
	for words, c := range map[string]struct {
		code   string
		town   func(*town)
		config func(*broker.Config)
		before int      // clients that are in already
		login  []string // startup parameters
	}{
		"no more connections allowed (max_client_conn)": {
			code: "53300", town: same, before: 1, config: func(c *broker.Config) { c.MaxClients = 1 },
		},
		"client connections exceeded (max_db_client_connections)": {
			code: "53300", before: 1, town: limited(func(e *registry.Entry) { e.Route.MaxClients = 1 }),
		},
		"client connections exceeded (max_user_client_connections)": {
			code: "53300", before: 1, town: limited(func(e *registry.Entry) { e.Login.MaxClients = 1 }),
		},
		"no such database: one": {
			code: "3D000", town: limited(func(e *registry.Entry) { e.Login.Service, e.Tenant, e.Route, e.Granted = true, nil, nil, false }),
		},
		"password authentication failed": {
			code: "28P01", town: same, login: []string{"user", "nobody", "database", "one"},
		},
		"unsupported startup parameter: role": {
			code: "55P02", town: same, login: []string{"user", "one", "role", "postgres"},
		},
		"unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed": {
			code: "42601", town: same, login: []string{"user", "one", "options", "-d 5"},
		},
		"SSL required": {
			code: "28000", town: same, config: func(c *broker.Config) { withTLS(t)(c); c.RequireTLS = true },
		},
	} {
		t.Run(words, func(t *testing.T) {
			w := townOfTwo(t)
			c.town(w)
			address := serve(t, w, func(cfg *broker.Config) {
				if c.config != nil {
					c.config(cfg)
				}
			})
			for range c.before {
				require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"))
			}
			login := c.login
			if login == nil {
				login = []string{"user", "one"}
			}
			failure := fakepg.Dial(t, address).Login(0, "right", login...)
			requireWords(t, failure, c.code, words)
		})
	}
}

func requireWords(t *testing.T, failure *pgproto3.ErrorResponse, code, words string) {
	t.Helper()
	require.NotNil(t, failure)
	require.Equal(t, "FATAL", failure.Severity)
	require.Equal(t, code, failure.Code)
	require.True(t, strings.HasPrefix(failure.Message, words) || strings.HasPrefix(failure.Detail, words), "%q, %q", failure.Message, failure.Detail)
}

func TestServerThatKeepsRefusingIsQuoted(t *testing.T) {
	m := newMoody(t, "3D000")
	w := newTown()
	w.settle("one", m.upstream)
	address := serve(t, w, func(c *broker.Config) { c.ServerLoginRetry = time.Hour })
	requireWords(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"), "3D000", "The server said: in a bad mood")
	eventually(t, func() bool {
		failure := fakepg.Dial(t, address).Login(0, "right", "user", "one")
		return failure != nil && failure.Code == "3D000" &&
			strings.HasPrefix(failure.Detail, "server login has been failing, cached error: in a bad mood (server_login_retry)")
	}, "the relay's own memory is shorter")
	require.EqualValues(t, 1, m.tried.Load())
}

// What nobody has foreseen is said too.
func TestUnforeseenErrorIsNoBareClose(t *testing.T) {
	w := townOfTwo(t)
	w.alter("one", "one", withStatus("NONSENSE", ""))
	failure := fakepg.Dial(t, serve(t, w)).Login(0, "right", "user", "one")
	requireWords(t, failure, "XX000", "the broker failed to let the client in")
	require.Contains(t, failure.Detail, "in the broker's log")
	require.NotContains(t, failure.Message+failure.Detail+failure.Hint, "NONSENSE")
}
