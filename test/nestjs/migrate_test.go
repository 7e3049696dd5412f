package nestjs_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

const (
	baseline = "0_journal"
	notes    = "20261125000000_notes"
)

// An engine is Prisma's schema engine at work on one database.
type engine struct{ dir, url string }

func newEngine(t *testing.T, url string) engine {
	t.Helper()
	dir := installed(t, func(pins []string, npmCI func(context.Context, string) error) string {
		return dermagatest.Installed(t, "test-nestjs", "engine", nodeVersion(t), append(pins, "migrate.mjs"), npmCI)
	})
	return engine{dir, url}
}

func (e engine) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	from, err := filepath.Abs(example)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", append([]string{"migrate.mjs"}, args...)...)
	cmd.Dir = e.dir
	cmd.Env = append(dermagatest.Environ(), "EXAMPLE="+from, "DATABASE_URL="+e.url)
	return cmd
}

// run does what `prisma migrate` with these arguments does.
func (e engine) run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := e.command(t, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return out
}

// deploy returns the migrations that it applied.
func (e engine) deploy(t *testing.T) []string {
	t.Helper()
	var done struct{ AppliedMigrationNames []string }
	out := e.run(t, "deploy")
	require.NoError(t, json.Unmarshal(out, &done), string(out))
	return done.AppliedMigrationNames
}

func TestPrismaMigratesThroughTheBrokerAsOwnerAndTheApplicationUsesIt(t *testing.T) {
	ctx := t.Context()
	a := start(t, dev.url)
	const path = "/demo/accounts/1-1300/notes"
	got, err := a.ask(ctx, http.MethodGet, path, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, got.status, "there is no table yet: %s", got.body)

	url, err := dev.URL(ctx, "login", "create", "migrate", "--tenant", "demo", "--role", "owner")
	require.NoError(t, err)
	e := newEngine(t, url)
	out, err := e.command(t, "deploy").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "not empty", "Dermaga made it, so Prisma wants to be told")
	e.run(t, "resolve", baseline)
	require.Equal(t, []string{notes}, e.deploy(t))
	require.Empty(t, e.deploy(t), "a second run has nothing to do")

	var note struct{ Text string }
	require.NoError(t, a.into(ctx, http.StatusCreated, http.MethodPost, path, map[string]string{"text": "demo"}, &note))
	var found []struct{ Text string }
	require.NoError(t, a.into(ctx, http.StatusOK, http.MethodGet, path, nil, &found))
	require.Len(t, found, 1)

	var applied, checksum int
	conn := connect(t, dev.Around(dev.tenants[0].database))
	require.NoError(t, conn.QueryRow(ctx, `SELECT count(finished_at), min(length(checksum)) FROM _prisma_migrations`).Scan(&applied, &checksum))
	require.Equal(t, 2, applied)
	require.Equal(t, 64, checksum)
	var there bool
	conn = connect(t, dev.Around(dev.tenants[1].database))
	require.NoError(t, conn.QueryRow(ctx, `SELECT to_regclass('notes') IS NOT NULL`).Scan(&there))
	require.False(t, there, "the other tenant was not asked")
}

func TestOwnerLoginChangesItsTenantOnly(t *testing.T) {
	ctx := t.Context()
	own, err := dev.URL(ctx, "login", "create", "schema", "--tenant", "pt-media-nusa", "--role", "owner")
	require.NoError(t, err)
	conn := connect(t, own)
	for _, sql := range []string{
		`CREATE DATABASE shadow`, // as migrate dev does
		`DROP DATABASE nusa_journal_demo`,
		`SET ROLE journal_owner`,
	} {
		_, err := conn.Exec(ctx, sql)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, sql)
		require.Equal(t, pgerrcode.InsufficientPrivilege, refused.Code, sql)
	}
	_, err = pgx.Connect(ctx, strings.Replace(own, "/pt-media-nusa", "/demo", 1))
	require.ErrorContains(t, err, pgerrcode.InvalidPassword, "elsewhere it is a stranger")

	// Through a pool in mode auto, RESET and DISCARD lead back to the owner.
	for _, sql := range []string{`RESET ROLE`, `DISCARD ALL`, `RESET SESSION AUTHORIZATION`} {
		_, err := conn.Exec(ctx, sql)
		require.NoError(t, err, sql)
		var owner bool
		const ask = `SELECT current_user LIKE 't\_%\_owner\_1' AND current_user = session_user`
		require.NoError(t, conn.QueryRow(ctx, ask, pgx.QueryExecModeSimpleProtocol).Scan(&owner)) // DISCARD takes prepared statements along
		require.True(t, owner, sql)
	}
	_, err = dev.URL(ctx, "login", "create", "everywhere", "--service", "--grant", "all", "--role", "owner")
	require.ErrorContains(t, err, "a service login would own nothing")
}

// The owner's pool is not the application's, and what a function leaves behind in a
// session must not reach the application's next client.
func TestFunctionOfAnOwnerIsKnownToTheApplicationsServersAtOnce(t *testing.T) {
	ctx := t.Context()
	one, other := connect(t, dev.url+"pt-media-nusa"), connect(t, dev.url+"pt-media-nusa")
	const who = `SELECT coalesce(current_setting('app.actor', true), '')`
	seen := func(conn *pgx.Conn) (actor string) {
		require.NoError(t, conn.QueryRow(ctx, who).Scan(&actor))
		return actor
	}
	require.Empty(t, seen(one)) // servers of the application's are there before the function
	require.Empty(t, seen(other))

	url, err := dev.URL(ctx, "login", "create", "functions", "--tenant", "pt-media-nusa", "--role", "owner")
	require.NoError(t, err)
	_, err = connect(t, url).Exec(ctx, `CREATE FUNCTION act_as(actor text) RETURNS text LANGUAGE sql AS
		$$ SELECT set_config('app.actor', actor, false) $$`)
	require.NoError(t, err)
	for range rounds {
		_, err := one.Exec(ctx, `SELECT act_as('sari')`)
		require.NoError(t, err)
		require.Empty(t, seen(other))
		require.Equal(t, "sari", seen(one))
	}
}

// What a shadow database of `prisma migrate dev` gets.
func TestMigrationsMakeAnEmptyDatabaseAnApplicationsOwn(t *testing.T) {
	server := connect(t, dev.Around("postgres"))
	_, err := server.Exec(t.Context(), `CREATE DATABASE shadow`)
	require.NoError(t, err)
	conn := connect(t, dev.Around("shadow"))
	for _, name := range []string{baseline, notes} {
		sql, err := os.ReadFile(filepath.Join(example, "prisma/migrations", name, "migration.sql"))
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), string(sql))
		require.NoError(t, err)
	}
	_, err = conn.Exec(t.Context(), `SELECT FROM notes JOIN accounts ON accounts.id = account_id`)
	require.NoError(t, err)
}

// The baseline stands for what Dermaga makes.
func TestBaselineIsWhatDermagaMakes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(example, "prisma/migrations", baseline, "migration.sql"))
	require.NoError(t, err)
	files, err := filepath.Glob("../../migrations/journal/*.up.sql") // in order
	require.NoError(t, err)
	require.NotEmpty(t, files)
	rest := string(text)
	for _, file := range files {
		sql, err := os.ReadFile(file)
		require.NoError(t, err)
		_, after, found := strings.Cut(rest, "\n-- "+filepath.Base(file)+"\n"+string(sql))
		require.True(t, found, "%s is not in it, or not as it is", file)
		rest = after
	}
	require.Empty(t, rest)
}
