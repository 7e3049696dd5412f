package console_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/console"
)

var update = flag.Bool("update", false, "write the golden files anew")

// enter connects to d as a driver does.
func enter(t testing.TB, d *door, database string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, "postgres://sari@"+d.address+"/"+database+"?sslmode=prefer&application_name=tests")
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

// ask runs one command as a simple query.
func ask(t testing.TB, conn *pgx.Conn, command string) (*pgconn.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	results := conn.PgConn().Exec(ctx, command)
	defer func() { _ = results.Close() }()
	if !results.NextResult() {
		return nil, results.Close()
	}
	fields := results.ResultReader().FieldDescriptions()
	r := results.ResultReader().Read()
	r.FieldDescriptions = fields // Read leaves them out where there are no rows
	require.False(t, results.NextResult(), "more than one result")
	return r, errors.Join(r.Err, results.Close())
}

// written is a result as the golden files have it: columns with their types, then
// the rows.
func written(r *pgconn.Result) string {
	types := map[uint32]string{25: "text", 23: "int4", 20: "int8", 1700: "numeric"}
	var b strings.Builder
	for i, f := range r.FieldDescriptions {
		if i > 0 {
			b.WriteString(" | ")
		}
		fmt.Fprintf(&b, "%s %s", f.Name, types[f.DataTypeOID])
	}
	for _, row := range r.Rows {
		b.WriteString("\n")
		for i, v := range row {
			if i > 0 {
				b.WriteString(" | ")
			}
			if v == nil {
				b.WriteString("NULL")
			}
			b.Write(v)
		}
	}
	return b.String() + "\n" + r.CommandTag.String() + "\n"
}

// shows are all tables.
var shows = []string{
	"CLIENTS", "CONFIG", "DATABASES", "DNS_HOSTS", "DNS_ZONES", "LISTS", "MEM", "PEERS", "PEER_POOLS", "PINS", "POOLS", "SERVERS", "STATE",
	"STATS", "STATS_AVERAGES", "STATS_TOTALS", "TOTALS", "USERS", "VERSION",
}

func TestEachShowIsAsItWas(t *testing.T) {
	for _, name := range shows {
		t.Run(name, func(t *testing.T) {
			conn := enter(t, open(t, &harbour{}, console.Stats), "pgbouncer")
			r, err := ask(t, conn, "SHOW "+name+";")
			require.NoError(t, err)
			golden := filepath.Join("testdata", "show", strings.ToLower(name)+".golden")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(written(r)), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), written(r))
		})
	}
}

// TestDriversReadTheSameInEachWayToAsk asks prepared, unprepared and simple; pgx
// takes numbers in binary where it can.
func TestDriversReadTheSameInEachWayToAsk(t *testing.T) {
	conn := enter(t, open(t, &harbour{}, console.Stats), "pgbouncer")
	for _, name := range shows {
		want, err := ask(t, conn, "show "+name)
		require.NoError(t, err)
		for _, mode := range []pgx.QueryExecMode{
			pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
		} {
			rows, err := conn.Query(t.Context(), "SHOW "+name, mode)
			require.NoError(t, err)
			n := 0
			for ; rows.Next(); n++ {
				// Questions count themselves.
				if first := string(want.Rows[n][0]); first == "pgbouncer" || strings.HasSuffix(first, "_xact_count") || strings.HasSuffix(first, "_query_count") || first == "avg_query_time" {
					continue
				}
				values, err := rows.Values()
				require.NoError(t, err)
				for i, v := range values {
					require.Equal(t, plain(want.Rows[n][i]), said(t, v), "%s in mode %v: %s of row %d", name, mode, want.FieldDescriptions[i].Name, n)
				}
			}
			require.NoError(t, rows.Err())
			require.Len(t, want.Rows, n)
		}
	}
}

func plain(v []byte) string {
	if v == nil {
		return "<nil>"
	}
	return string(v)
}

// said writes a value that pgx has decoded as text.
func said(t *testing.T, v any) string {
	if n, ok := v.(pgtype.Numeric); ok {
		i, err := n.Int64Value()
		require.NoError(t, err)
		return strconv.FormatInt(i.Int64, 10)
	}
	return fmt.Sprint(v)
}

func TestNumbersArriveWholeInBinary(t *testing.T) {
	conn := enter(t, open(t, &harbour{}, console.Stats), "pgbouncer")
	rows, err := conn.Query(t.Context(), "SHOW STATS_TOTALS")
	require.NoError(t, err)
	got := map[string][2]int64{}
	_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
		require.Equal(t, int16(pgx.BinaryFormatCode), r.FieldDescriptions()[1].Format)
		var name string
		n := make([]int64, 12)
		to := []any{&name}
		for i := range n {
			to = append(to, &n[i])
		}
		err := r.Scan(to...)
		got[name] = [2]int64{n[1], n[3]}
		return struct{}{}, err
	})
	require.NoError(t, err)
	require.Equal(t, [2]int64{100_000_001, 1 << 40}, got["pt-satu"])
	require.Equal(t, [2]int64{0, 0}, got["pt-dua"])
}

func TestAWrongPoolerIsNotTheClientsBusiness(t *testing.T) {
	h := &harbour{}
	d := open(t, h, console.Stats)
	conn := enter(t, d, "dermaga")
	h.fail(errors.New("loop 3 is on fire"))
	for _, name := range []string{"POOLS", "CLIENTS", "SERVERS", "PINS", "STATS", "LISTS", "DATABASES", "USERS", "TOTALS"} {
		_, err := ask(t, conn, "SHOW "+name)
		var told *pgconn.PgError
		require.ErrorAs(t, err, &told, name)
		require.Equal(t, "57014", told.Code)
		require.NotContains(t, told.Message+told.Detail+told.Hint, "fire")
		require.Equal(t, "sari: SHOW "+name+": loop 3 is on fire", <-d.reports)
	}
	h.fail(nil)
	_, err := ask(t, conn, "SHOW POOLS")
	require.NoError(t, err)
}

func TestVersionLeadsWithWhatMonitoringExpects(t *testing.T) {
	d := open(t, &harbour{}, console.Stats)
	for database, want := range map[string]string{"pgbouncer": "PgBouncer 1.26.1 (Dermaga 1.0.0)", "dermaga": "Dermaga 1.0.0"} {
		conn := enter(t, d, database)
		r, err := ask(t, conn, "SHOW VERSION")
		require.NoError(t, err)
		require.Equal(t, want, string(r.Rows[0][0]))
		require.Equal(t, "1.26.1/bouncer", conn.PgConn().ParameterStatus("server_version"))
	}
}

func TestAClientSeesItself(t *testing.T) {
	d := open(t, &harbour{}, console.Stats)
	one, two := enter(t, d, "pgbouncer"), enter(t, d, "dermaga")
	_, err := ask(t, two, "-- ping")
	require.NoError(t, err)
	r, err := ask(t, one, "SHOW CLIENTS")
	require.NoError(t, err)
	require.Len(t, r.Rows, 5)
	var own []string
	for _, row := range r.Rows[:2] {
		own = append(own, strings.Join([]string{string(row[1]), string(row[2]), string(row[4]), string(row[18]), string(row[20])}, " "))
	}
	require.Equal(t, []string{"sari pgbouncer active tests 1001", "sari dermaga idle tests 1002"}, own)
}

// What prometheus-community/pgbouncer_exporter asks for with each scrape, and what
// it makes of the answers (its collector.go).
func TestTheExporterFindsWhatItLooksFor(t *testing.T) {
	conn := enter(t, open(t, &harbour{}, console.Stats), "pgbouncer")
	_, err := ask(t, conn, "SHOW STATS") // its ping
	require.NoError(t, err)

	r, err := ask(t, conn, "SHOW VERSION;")
	require.NoError(t, err)
	require.Len(t, r.FieldDescriptions, 1)
	require.Equal(t, "version", r.FieldDescriptions[0].Name)

	r, err = ask(t, conn, "SHOW LISTS;")
	require.NoError(t, err)
	require.Len(t, r.FieldDescriptions, 2)
	for _, row := range r.Rows {
		number(t, row[1], string(row[0]))
	}

	r, err = ask(t, conn, "SHOW CONFIG;")
	require.NoError(t, err)
	require.Len(t, r.FieldDescriptions, 4)
	config := map[string][]byte{}
	for _, row := range r.Rows {
		config[string(row[0])] = row[1]
		require.NotNil(t, row[1])
	}
	number(t, config["max_client_conn"], "max_client_conn")
	number(t, config["max_user_connections"], "max_user_connections")

	for query, want := range map[string]struct{ labels, numbers []string }{
		"SHOW databases;":    {[]string{"name", "host", "port", "database", "force_user", "pool_mode"}, []string{"pool_size", "max_connections", "current_connections", "paused", "disabled"}},
		"SHOW stats_totals;": {[]string{"database"}, []string{"query_count", "query_time", "bytes_received", "bytes_sent", "wait_time", "xact_count", "xact_time", "client_parse_count", "server_parse_count", "bind_count"}},
		"SHOW pools;":        {[]string{"database", "user"}, []string{"cl_active", "cl_active_cancel_req", "cl_waiting", "cl_waiting_cancel_req", "sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait"}},
	} {
		r, err := ask(t, conn, query)
		require.NoError(t, err)
		at := map[string]int{}
		for i, f := range r.FieldDescriptions {
			at[f.Name] = i
		}
		seen := map[string]bool{} // the same labels twice end the whole scrape
		for _, row := range r.Rows {
			var labels []string
			for _, l := range want.labels {
				require.Contains(t, at, l, query)
				labels = append(labels, string(row[at[l]]))
			}
			key := strings.Join(labels, "|")
			require.False(t, seen[key], "%s: %s", query, key)
			seen[key] = true
			for _, n := range want.numbers {
				require.Contains(t, at, n, query)
				number(t, row[at[n]], query+" "+n)
			}
		}
	}
}

func number(t *testing.T, v []byte, what string) {
	t.Helper()
	_, err := strconv.ParseFloat(string(v), 64)
	require.NoError(t, err, what)
}
