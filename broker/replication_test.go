package broker_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

// replicating is a town whose login "one" may replicate a real database, and the
// superuser's connection to that.
func replicating(t *testing.T) (w *town, up upstream, boss *pgx.Conn) {
	up = realUpstream(t)
	w = newTown()
	w.settle("one", up)
	w.alter("one", "one", func(e *registry.Entry) { e.Login.Replication = true })
	cfg, err := pgx.ParseConfig(pgtest.URL(t))
	require.NoError(t, err)
	cfg.Database = up.database
	boss, err = pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, boss.Close(context.Background())) })
	exec(t, boss, "SET synchronous_commit = on") // the walsender sends what is flushed
	exec(t, boss, "ALTER ROLE "+up.role+" REPLICATION")
	exec(t, boss, "CREATE TABLE sale (id int PRIMARY KEY, what text); GRANT ALL ON sale TO "+up.role+"; CREATE PUBLICATION every FOR TABLE sale")
	return w, up, boss
}

func replicate(ctx context.Context, t *testing.T, address string, settings ...string) (*pgconn.PgConn, error) {
	t.Helper()
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("postgresql://one:right@%s/one?sslmode=disable", address))
	require.NoError(t, err)
	cfg.RuntimeParams["replication"] = "database"
	for i := 0; i < len(settings); i += 2 {
		cfg.RuntimeParams[settings[i]] = settings[i+1]
	}
	return pgconn.ConnectConfig(ctx, cfg)
}

// stream starts replication from a slot and returns the connection in CopyBoth.
func stream(ctx context.Context, t *testing.T, conn *pgconn.PgConn, slot string) {
	t.Helper()
	conn.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION SLOT " + slot + " LOGICAL 0/0 (proto_version '1', publication_names 'every')"})
	require.NoError(t, conn.Frontend().Flush())
	m, err := conn.ReceiveMessage(ctx)
	require.NoError(t, err)
	require.IsType(t, &pgproto3.CopyBothResponse{}, m)
}

// insertOf reads the stream up to the next inserted row, and confirms it.
func insertOf(ctx context.Context, t *testing.T, conn *pgconn.PgConn) string {
	t.Helper()
	for {
		m, err := conn.ReceiveMessage(ctx)
		require.NoError(t, err)
		data, ok := m.(*pgproto3.CopyData)
		require.True(t, ok, "%T", m)
		if data.Data[0] != 'w' || data.Data[25] != 'I' {
			continue
		}
		confirm(t, conn, binary.BigEndian.Uint64(data.Data[9:]))
		return string(data.Data[26:])
	}
}

// confirm sends a standby status update (PostgreSQL 18 manual, 54.4).
func confirm(t *testing.T, conn *pgconn.PgConn, lsn uint64) {
	t.Helper()
	status := []byte{'r'}
	for range 3 {
		status = binary.BigEndian.AppendUint64(status, lsn)
	}
	status = append(binary.BigEndian.AppendUint64(status, 0), 0)
	conn.Frontend().Send(&pgproto3.CopyData{Data: status})
	require.NoError(t, conn.Frontend().Flush())
}

func TestDatabaseIsReplicatedThroughTheBroker(t *testing.T) {
	w, _, boss := replicating(t)
	b, address := serveBroker(t, w)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := replicate(ctx, t, address)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "CREATE_REPLICATION_SLOT kept LOGICAL pgoutput").ReadAll()
	require.NoError(t, err)
	defer exec(t, boss, "SELECT pg_drop_replication_slot('kept')")
	results, err := conn.Exec(ctx, "SELECT count(*) FROM sale").ReadAll()
	require.NoError(t, err, "SQL goes as well")
	require.Equal(t, "0", string(results[0].Rows[0][0]))

	stream(ctx, t, conn, "kept")
	for i := range 100 {
		exec(t, boss, fmt.Sprintf("INSERT INTO sale VALUES (%d, 'kopi %d')", i, i))
		require.Contains(t, insertOf(ctx, t, conn), fmt.Sprintf("kopi %d", i))
	}
	conn.Frontend().Send(&pgproto3.CopyDone{})
	require.NoError(t, conn.Frontend().Flush())
	for ready := false; !ready; {
		m, err := conn.ReceiveMessage(ctx)
		require.NoError(t, err)
		_, ready = m.(*pgproto3.ReadyForQuery)
	}
	_, err = conn.Exec(ctx, "IDENTIFY_SYSTEM").ReadAll()
	require.NoError(t, err, "the connection lives on")
	require.NoError(t, conn.Close(ctx))

	conn, err = replicate(ctx, t, address)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "CREATE_REPLICATION_SLOT passing TEMPORARY LOGICAL pgoutput").ReadAll()
	require.NoError(t, err)
	stream(ctx, t, conn, "kept")
	require.Equal(t, "t f", one(t, boss, "SELECT concat(bool_or(active), ' ', bool_and(temporary)) FROM pg_replication_slots WHERE slot_name = 'kept'"))
	require.NoError(t, conn.Conn().Close()) // in the middle of the stream
	eventually(t, func() bool {
		return one(t, boss, "SELECT string_agg(concat(slot_name, ' ', active), ',') FROM pg_replication_slots") == "kept f" &&
			one(t, boss, "SELECT count(*)::text FROM pg_stat_replication") == "0"
	}, "its server ends with it, and the temporary slot")
	eventually(t, func() bool { tenants, _, _ := b.Census(); return len(tenants) == 0 }, "nobody is counted")
}

func one(t *testing.T, conn *pgx.Conn, sql string) (value string) {
	t.Helper()
	require.NoError(t, conn.QueryRow(context.Background(), sql).Scan(&value))
	return value
}

func TestReplicationBeginsWithTheClientsSettings(t *testing.T) {
	w, _, boss := replicating(t)
	address := serve(t, w)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := replicate(ctx, t, address, "application_name", `a b\c`, "options", "-c extra_float_digits=3 -c DateStyle=German")
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.Equal(t, "German, DMY", conn.ParameterStatus("DateStyle"))
	for setting, want := range map[string]string{"extra_float_digits": "3", "DateStyle": "German, DMY", "application_name": `a b\c`} {
		results, err := conn.Exec(ctx, "SHOW "+setting).ReadAll()
		require.NoError(t, err)
		require.Equal(t, want, string(results[0].Rows[0][0]))
	}
	require.Equal(t, "1", one(t, boss, "SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'walsender'"))

	other, err := replicate(ctx, t, address, "application_name", "other")
	require.NoError(t, err)
	defer other.Close(context.Background())
	results, err := other.Exec(ctx, "SHOW DateStyle").ReadAll()
	require.NoError(t, err)
	require.Equal(t, "ISO, MDY", string(results[0].Rows[0][0]), "it has a server of its own")

	for _, name := range []string{"user", "database", "replication", "options", "no_such_setting"} {
		_, err = replicate(ctx, t, address, "options", "-c "+name+"=postgres")
		require.Equal(t, "42704", codeOf(t, err), "%s is no parameter that a client sets", name)
	}
}

func codeOf(t *testing.T, err error) string {
	t.Helper()
	var failure *pgconn.PgError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "FATAL", failure.Severity)
	return failure.Code
}

func TestServerSaysWhoMayReplicate(t *testing.T) {
	w, up, boss := replicating(t)
	exec(t, boss, "ALTER ROLE "+up.role+" NOREPLICATION")
	address := serve(t, w)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := replicate(ctx, t, address)
	var failure, direct *pgconn.PgError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "42501", failure.Code)
	server := boss.PgConn().Conn().RemoteAddr()
	_, err = pgconn.Connect(ctx, fmt.Sprintf("postgresql://%s:upstream@%s/%s?sslmode=disable&replication=database", up.role, server, up.database))
	require.ErrorAs(t, err, &direct)
	require.Equal(t, direct.Message, failure.Message)
	require.Equal(t, direct.Hint, failure.Hint)
	require.True(t, strings.HasPrefix(failure.Detail, direct.Detail), failure.Detail)
	require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"), "who does not replicate is not meant")
}

func TestLoginThatMayNotReplicateIsToldWhatToDo(t *testing.T) {
	w, _, _ := replicating(t)
	w.alter("one", "one", func(e *registry.Entry) { e.Login.Replication = false })
	failure := fakepg.Dial(t, serve(t, w)).Login(0, "right", "user", "one", "replication", "database")
	require.Equal(t, "42501", failure.Code)
	require.Contains(t, failure.Hint, "--replication")
	require.Equal(t, "28P01", fakepg.Dial(t, serve(t, w)).Login(0, "wrong", "user", "one", "replication", "database").Code, "only who has proven who he is")
}

func TestReplicationEndsWithItsTenant(t *testing.T) {
	w, _, boss := replicating(t)
	address := serve(t, w, func(c *broker.Config) { c.SuspendGrace = 50 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := replicate(ctx, t, address)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "CREATE_REPLICATION_SLOT passing TEMPORARY LOGICAL pgoutput").ReadAll()
	require.NoError(t, err)
	stream(ctx, t, conn, "passing")
	w.alter("one", "one", withStatus(registry.Suspended, "unpaid"))
	for err == nil {
		_, err = conn.ReceiveMessage(ctx)
	}
	require.Equal(t, "57P01", codeOf(t, err))
	eventually(t, func() bool { return one(t, boss, "SELECT count(*)::text FROM pg_replication_slots") == "0" }, "and at the server")
}

// PostgreSQL's own subscriber, with a tenant as its publisher.
func TestSubscriptionGoesThroughTheBroker(t *testing.T) {
	w, _, boss := replicating(t)
	host, port, err := net.SplitHostPort(serve(t, w))
	require.NoError(t, err)
	sub, err := pgx.Connect(t.Context(), pgtest.Database(t))
	require.NoError(t, err)
	defer sub.Close(context.Background())
	exec(t, sub, "CREATE TABLE sale (id int PRIMARY KEY, what text)")
	exec(t, boss, "SELECT pg_create_logical_replication_slot('subscribed', 'pgoutput')") // in one cluster the subscriber would wait for itself
	exec(t, sub, fmt.Sprintf(`CREATE SUBSCRIPTION s CONNECTION 'host=%s port=%s dbname=one user=one password=right'
		PUBLICATION every WITH (create_slot = false, slot_name = 'subscribed', copy_data = false)`, host, port))
	exec(t, boss, "INSERT INTO sale SELECT n, 'kopi' FROM generate_series(1, 1000) n")
	eventually(t, func() bool { return one(t, sub, "SELECT count(*)::text FROM sale") == "1000" }, "the rows arrive")
	exec(t, sub, "DROP SUBSCRIPTION s") // and the slot, through the broker
	require.Equal(t, "0", one(t, boss, "SELECT count(*)::text FROM pg_replication_slots"))
}
