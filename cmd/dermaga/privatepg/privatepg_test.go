package privatepg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/cmd/dermaga/privatepg"
)

func TestMain(m *testing.M) {
	if data := os.Getenv(ownerVariable); data != "" {
		ownAndWait(data)
	}
	goleak.VerifyTestMain(m)
}

const password = "a password/with=URL&signs"

// patience bounds what a test waits for: an initdb and a start take 1 s on an
// idle machine.
const patience = time.Minute

// folder is a new data folder that the user postgres can reach, which t.TempDir
// is not under root.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dermaga-privatepg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return filepath.Join(dir, "postgres")
}

func config(data string) privatepg.Config {
	return privatepg.Config{Data: data, Password: password, Settings: map[string]string{"fsync": "off"}}
}

func try(t *testing.T, cfg privatepg.Config) (*privatepg.Server, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := privatepg.Start(ctx, cfg)
	if err == nil {
		t.Cleanup(func() { _ = s.Stop() })
	}
	return s, err
}

func start(t *testing.T, cfg privatepg.Config) *privatepg.Server {
	t.Helper()
	s, err := try(t, cfg)
	require.NoError(t, err)
	return s
}

func connect(t *testing.T, s *privatepg.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func ask(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	return answer
}

func TestServerTakesNobodyWithoutScramAndListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	s := start(t, config(folder(t)))
	conn := connect(t, s)

	require.Equal(t, "scram-sha-256", ask(t, conn, `SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules`))
	require.Equal(t, "127.0.0.1", ask(t, conn, `SHOW listen_addresses`))
	require.Equal(t, "", ask(t, conn, `SHOW unix_socket_directories`))
	require.Contains(t, ask(t, conn, `SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'`), "SCRAM-SHA-256$")
	require.Equal(t, ask(t, conn, `SHOW server_version_num`), fmt.Sprint(s.Version()))

	_, err := pgx.Connect(t.Context(), strings.Replace(s.URL(), "//postgres:", "//postgres:x", 1))
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28P01", refused.Code)
}

func TestTextSortsByCodePointOnEveryMachine(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, config(folder(t))))
	require.Equal(t, "UTF8", ask(t, conn, `SHOW server_encoding`))
	require.Equal(t, "A,a,É,é", ask(t, conn, `SELECT string_agg(x, ',' ORDER BY x) FROM unnest('{é,a,É,A}'::text[]) x`))
}

func TestRestartKeepsTheData(t *testing.T) {
	t.Parallel()
	data := folder(t)
	s := start(t, config(data))
	_, err := connect(t, s).Exec(t.Context(), `CREATE TABLE kept AS SELECT 42 AS answer`)
	require.NoError(t, err)
	require.NoError(t, s.Stop())

	again := start(t, config(data))
	require.Equal(t, "42", ask(t, connect(t, again), `SELECT answer::text FROM kept`))
	require.FileExists(t, filepath.Join(data, "server.log.1"))
}

func TestDataFolderOfAnotherPasswordIsNamed(t *testing.T) {
	t.Parallel()
	data := folder(t)
	require.NoError(t, start(t, config(data)).Stop())

	cfg := config(data)
	cfg.Password = "another"
	_, err := try(t, cfg)
	require.ErrorIs(t, err, privatepg.ErrOtherPassword)
	require.NoFileExists(t, filepath.Join(data, "cluster", "postmaster.pid"), "the server was stopped again")
}

func TestStopDisconnectsClientsAndIsSafeTwice(t *testing.T) {
	t.Parallel()
	s := start(t, config(folder(t)))
	conn := connect(t, s)
	_, err := conn.Exec(t.Context(), `BEGIN`)
	require.NoError(t, err)

	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop())
	<-s.Done()
	_, err = net.Dial("tcp", net.JoinHostPort(s.Host(), fmt.Sprint(s.Port())))
	require.Error(t, err)
}

func TestServerThatEndsAtStartTellsItsLastWords(t *testing.T) {
	t.Parallel()
	cfg := config(folder(t))
	cfg.Settings["shared_buffers"] = "a lot"
	_, err := try(t, cfg)
	require.ErrorContains(t, err, `invalid value for parameter "shared_buffers": "a lot"`)
}

func TestPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	cfg := config(folder(t))
	cfg.Port = ln.Addr().(*net.TCPAddr).Port
	_, err = try(t, cfg)
	require.ErrorContains(t, err, "the port is in use")
}

func TestAllFaultsOfAConfigAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := try(t, privatepg.Config{Port: 70000})
	require.ErrorContains(t, err, "Data is empty")
	require.ErrorContains(t, err, "Password is empty")
	require.ErrorContains(t, err, "Port 70000")
}

func TestFolderWithOtherThingsIsLeftAlone(t *testing.T) {
	t.Parallel()
	data := folder(t)
	require.NoError(t, os.Mkdir(data, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(data, "thesis.txt"), nil, 0o600))
	before, err := os.Stat(data)
	require.NoError(t, err)

	_, err = try(t, config(data))
	require.ErrorContains(t, err, "thesis.txt")
	after, err := os.Stat(data)
	require.NoError(t, err)
	require.Equal(t, before.Mode(), after.Mode())
	require.Equal(t, before.Sys().(*syscall.Stat_t).Uid, after.Sys().(*syscall.Stat_t).Uid)
}

func TestBinariesThatAreMissingOrOfAnotherVersionAreNamed(t *testing.T) {
	t.Parallel()
	cfg := config(folder(t))
	cfg.Bin = t.TempDir()
	_, err := try(t, cfg)
	require.ErrorIs(t, err, privatepg.ErrNoPostgreSQL)
	require.ErrorContains(t, err, cfg.Bin)

	old := folder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(old, "cluster"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(old, "cluster", "PG_VERSION"), []byte("9\n"), 0o644))
	_, err = try(t, config(old))
	require.ErrorIs(t, err, privatepg.ErrNoPostgreSQL)
	require.ErrorContains(t, err, "PostgreSQL 9, which made the data folder")
	require.ErrorContains(t, err, "--postgres-bin")
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("changed my mind"))
	_, err := privatepg.Start(ctx, config(folder(t)))
	require.Error(t, err)
}
