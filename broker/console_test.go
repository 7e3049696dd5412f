package broker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/registry"
)

// staff gives w service logins for each right to the console, called as the right
// is, with the password "right".
func staff(w *town) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, right := range map[string]string{"admin": "admin", "stats": "stats", "api": ""} {
		w.service[name] = registry.Entry{Login: &registry.Login{
			ID: "login-" + name, Name: name, Service: true, Kind: registry.App, Console: right, Verifiers: []string{verifier("right")},
		}}
	}
}

// table runs a command of the console and returns its rows, by column.
func table(t testing.TB, conn *pgx.Conn, command string) []map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), command, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	defer rows.Close()
	var all []map[string]string
	for rows.Next() {
		row := map[string]string{}
		for i, v := range rows.RawValues() {
			row[rows.FieldDescriptions()[i].Name] = string(v)
		}
		all = append(all, row)
	}
	require.NoError(t, rows.Err(), command)
	return all
}

func do(t testing.TB, conn *pgx.Conn, command string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), command)
	require.NoError(t, err, command)
}

func sqlstate(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return told.Code
	}
	return ""
}

func TestOnlyServiceLoginsWithTheRightReachTheConsole(t *testing.T) {
	w := newTown()
	w.settle("one", fakeUpstream(t))
	staff(w)
	address := serve(t, w, withTLS(t))
	for _, database := range []string{"dermaga", "pgbouncer"} {
		for _, c := range []struct{ login, password, code string }{
			{"admin", "right", ""},
			{"stats", "right", ""},
			{"admin", "wrong", "28P01"},
			{"api", "right", "42501"},
			{"api", "wrong", "28P01"},
			{"one", "right", "28P01"}, // a tenant's own login is nobody here
			{"nobody", "right", "28P01"},
		} {
			conn, err := tryConnect(t.Context(), address, database, c.login, c.password)
			require.Equal(t, c.code, sqlstate(err), "%s at %s: %v", c.login, database, err)
			if err == nil {
				require.Equal(t, "1.26.1/bouncer", conn.PgConn().ParameterStatus("server_version"))
				_ = conn.Close(t.Context())
				continue
			}
			if c.code == "42501" {
				require.ErrorContains(t, err, "not allowed")
			}
		}
	}
	_, err := tryConnect(t.Context(), address, "one", "admin", "right")
	require.Equal(t, "3D000", sqlstate(err), "the console's right is none to a tenant")
}

func TestReloadIsTheCallersToDo(t *testing.T) {
	w := newTown()
	staff(w)
	var failure error
	n := 0
	address := serve(t, w, func(c *broker.Config) {
		c.Reload = func(context.Context) error {
			n++
			return failure
		}
	})
	boss := connect(t, address, "dermaga", "admin", "right")
	do(t, boss, "RELOAD")
	require.Equal(t, 1, n)
	failure = errors.New("no such file")
	_, err := boss.Exec(t.Context(), "RELOAD")
	require.Equal(t, "F0000", sqlstate(err))
	require.NotContains(t, err.Error(), "no such file", "that is for the log")
}

func TestAConsoleLoginThatIsTakenAwayEnds(t *testing.T) {
	w := newTown()
	staff(w)
	address := serve(t, w)
	boss := connect(t, address, "dermaga", "admin", "right")
	do(t, boss, "RECONNECT")
	become := func(name, right string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		e := w.service[name]
		l := *e.Login
		l.Console = right
		e.Login = &l
		w.service[name] = e
	}
	become("admin", "stats")
	_, err := boss.Exec(t.Context(), "RECONNECT")
	require.Equal(t, "42501", sqlstate(err))
	w.mu.Lock()
	w.down = true
	w.mu.Unlock()
	do(t, boss, "SHOW STATE") // the registry's absence takes nothing away
	w.mu.Lock()
	w.down = false
	w.mu.Unlock()
	become("admin", "")
	_, err = boss.Exec(t.Context(), "SHOW STATE")
	require.Equal(t, "57P01", sqlstate(err))
}

func TestTheConsoleSeesADrainToItsEnd(t *testing.T) {
	w := newTown()
	w.settle("one", realUpstream(t))
	staff(w)
	b, address := serveBroker(t, w)
	boss, client := connect(t, address, "dermaga", "admin", "right"), connect(t, address, "one", "one", "right")
	do(t, client, "BEGIN")
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- b.Shutdown(ctx)
	}()
	eventually(t, func() bool { return !b.Ready() }, "draining")
	require.NotEmpty(t, table(t, boss, "SHOW SERVERS"))
	do(t, client, "COMMIT")
	require.NoError(t, <-ended)
	_, err := boss.Exec(t.Context(), "SHOW STATE")
	require.Equal(t, "57P01", sqlstate(err))
}

func TestTheConsoleHasSoManyPlaces(t *testing.T) {
	w := newTown()
	staff(w)
	address := serve(t, w)
	for range broker.MaxVisits {
		require.Nil(t, fakepg.Dial(t, address).Login(3<<16, "right", "user", "stats", "database", "pgbouncer"))
	}
	_, err := tryConnect(t.Context(), address, "pgbouncer", "stats", "right")
	require.Equal(t, "53300", sqlstate(err))
}
