package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

// aroundTests is pgtest's cluster around the tests, within testscript's Main.
type aroundTests struct{ *testing.M }

func (a aroundTests) Run() int { return pgtest.Run(a.M, lruSweep) }

// A registry's caches each keep a goroutine that nobody can end (golang-lru);
// a process has one registry.
var lruSweep = goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1")

func TestMain(m *testing.M) {
	testscript.Main(aroundTests{m}, map[string]func(){"dermaga": main})
}

// The transcripts in testdata are the command as its users meet it. Beside
// testscript's own commands they have those below.
func TestTranscripts(t *testing.T) {
	root, err := os.MkdirTemp("/tmp", "dermaga-transcripts-") // where the user postgres can get
	require.NoError(t, err)
	require.NoError(t, os.Chmod(root, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	cluster, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	params := testscript.Params{
		Dir:           "testdata",
		WorkdirRoot:   root,
		UpdateScripts: os.Getenv("UPDATE_TRANSCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			// What a developer has in the environment must not reach the tests.
			for _, s := range table {
				env.Setenv(s.env, "")
			}
			env.Setenv("DERMAGA_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("BIN", pgtest.Server(t).Bin())
			env.Setenv("SERVER", cluster.String())
			env.Setenv("KEY", someKey)
			env.Setenv("OTHER_KEY", strings.ToUpper(someKey[32:])+someKey[:32])
			for _, name := range []string{"BROKER", "ADMIN", "OTHER"} {
				address, err := freeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, address)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":    await,
			"database": database,
			"field":    field,
			"hold":     hold,
			"sql":      sql,
			"status":   status,
			"mode":     mode,
		},
	}
	testscript.Run(t, params)
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// await PATH waits until a file is there; await HOST:PORT until somebody listens,
// ! await HOST:PORT until nobody does.
func await(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	for there(ts, args[0]) == neg {
		if time.Now().After(deadline) {
			ts.Fatalf("%s: still waiting", args[0])
		}
		<-time.After(20 * time.Millisecond)
	}
}

func there(ts *testscript.TestScript, what string) bool {
	if _, _, err := net.SplitHostPort(what); err != nil {
		_, err := os.Stat(ts.MkAbs(what))
		return err == nil
	}
	conn, err := net.Dial("tcp", what)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// hold URL opens a transaction that stays until the end.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, args[0])
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close(ctx) })
	_, err = conn.Exec(ctx, "BEGIN; SELECT 1")
	ts.Check(err)
}

// database NAME VARIABLE makes an empty database on the common server and sets a
// variable to its URL, as Prisma would write it.
func database(ts *testscript.TestScript, _ bool, args []string) {
	_, err := runSQL(ts.Getenv("SERVER"), "CREATE DATABASE "+pgx.Identifier{args[0]}.Sanitize())
	ts.Check(err)
	u, err := url.Parse(ts.Getenv("SERVER"))
	ts.Check(err)
	u.Path = "/" + args[0]
	ts.Setenv(args[1], u.String()+"&schema=public")
}

// field FILE PATH VARIABLE sets a variable to a part of a JSON file; PATH is
// like tenants.0.url.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for key := range strings.SplitSeq(args[1], ".") {
		if i, err := strconv.Atoi(key); err == nil {
			v = v.([]any)[i]
		} else {
			v = v.(map[string]any)[key]
		}
	}
	ts.Setenv(args[2], fmt.Sprint(v))
}

// sql URL QUERY prints one value; ! sql expects an error, and prints that.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	text, err := runSQL(args[0], args[1])
	if neg != (err != nil) {
		ts.Fatalf("%s: %v %v", args[1], text, err)
	}
	out := ts.Stdout()
	if neg {
		text = err.Error()
	}
	fmt.Fprintln(out, text)
}

func runSQL(at, query string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return "", err
	}
	var text string
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return "", err
		}
		text += fmt.Sprintln(values...)
	}
	return strings.TrimSpace(text), rows.Err()
}

// status URL prints the HTTP status of a GET without a token.
func status(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.StatusCode)
}

// mode FILE OCTAL requires a file's permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if have := fmt.Sprintf("%04o", info.Mode().Perm()); have != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], have, args[1])
	}
}
