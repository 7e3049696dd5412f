package clients_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// refusalLimit is how long a client may take to say that it does not trust the
// broker; psycopg's pool tries again for ten seconds.
const refusalLimit = 30 * time.Second

// An example is a program of testdata/connect, which docs/connecting.md shows.
type example struct {
	name    string // its heading in the document
	file    string // below testdata/connect
	program func(t *testing.T, file string) program
	version func(t *testing.T) string
}

var examples = []example{
	{name: "psql", file: "psql/connect.sh", program: psqlProgram, version: func(t *testing.T) string {
		return "15 or newer"
	}},
	{name: "pgx", file: "pgx/main.go", program: goProgram, version: func(t *testing.T) string {
		return goModule(t, "github.com/jackc/pgx/v5")
	}},
	{name: "database/sql", file: "database-sql/main.go", program: goProgram, version: func(t *testing.T) string {
		return "pgx " + goModule(t, "github.com/jackc/pgx/v5")
	}},
	{name: "pg", file: "pg/connect.mjs", program: smallNodeProgram, version: func(t *testing.T) string {
		return nodePackage(t, "pg") + ", pg-query-stream " + nodePackage(t, "pg-query-stream")
	}},
	{name: "postgres.js", file: "postgresjs/connect.mjs", program: smallNodeProgram, version: func(t *testing.T) string {
		return nodePackage(t, "postgres")
	}},
	{name: "Prisma", file: "prisma/connect.mjs", program: smallNodeProgram, version: func(t *testing.T) string {
		return nodePackage(t, "prisma") + ", pg " + nodePackage(t, "pg")
	}},
	{name: "psycopg", file: "psycopg/connect.py", program: smallPythonProgram, version: func(t *testing.T) string {
		return pythonPackage(t, "psycopg") + ", psycopg-pool " + pythonPackage(t, "psycopg-pool")
	}},
	{name: "SQLAlchemy", file: "sqlalchemy/connect.py", program: smallPythonProgram, version: func(t *testing.T) string {
		return pythonPackage(t, "SQLAlchemy") + ", psycopg " + pythonPackage(t, "psycopg")
	}},
	{name: "JDBC", file: "jdbc/Connect.java", program: javaProgram, version: func(t *testing.T) string {
		return "pgjdbc " + javaPackage(t, "postgresql") + ", HikariCP " + javaPackage(t, "HikariCP")
	}},
}

// Every program of docs/connecting.md does the same six things through a broker
// in mode auto. What came of it is the table in docs/compatibility.md.
func TestExamplesOfConnectingDoWhatTheTableSays(t *testing.T) {
	stranger, elsewhere := otherAuthority(t), otherAddress(t)
	tn := dev.tenants[len(dev.tenants)-1] // its plan's statement_timeout is the longer one
	ran := make([]outcome, len(examples))
	t.Run("client", func(t *testing.T) {
		for i, e := range examples {
			t.Run(e.name, func(t *testing.T) {
				p := e.program(t, filepath.Join("connect", e.file)) // packages are installed one after another
				t.Parallel()
				o := e.run(t, p, tn.url, certificate(), programLimit)
				if _, all := o.done(len(steps) - 1); all {
					require.NoError(t, o.ended)
				}
				var refusals errgroup.Group
				refusals.Go(func() error {
					o.trustsAnybody = e.run(t, p, tn.url, stranger, refusalLimit).connected()
					return nil
				})
				refusals.Go(func() error {
					o.trustsAnyAddress = e.run(t, p, withHost(t, tn.url, elsewhere), certificate(), refusalLimit).connected()
					return nil
				})
				require.NoError(t, refusals.Wait())
				o.version = e.version(t)
				ran[i] = o
			})
		}
	})
	settle(t, compatibility, "clients", table(ran, stands(t, compatibility, "clients")))
	for _, o := range ran {
		if o.name == "pgx" { // stands for all: they differ by what follows the colons
			settle(t, connecting, "output", "```\n"+o.out+"```\n")
		}
	}
}

func TestConnectingShowsTheExamplesAsTheyAre(t *testing.T) {
	for _, e := range examples {
		language := strings.TrimPrefix(filepath.Ext(e.file), ".")
		settle(t, connecting, e.file, "```"+language+"\n"+pins(t, filepath.Join("connect", e.file))+"```\n")
	}
}

// run runs the example with that connection string and that authority's file.
func (e example) run(t *testing.T, p program, url, authority string, limit time.Duration) outcome {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	p.env = append([]string{"DATABASE_URL=" + url, "CA_FILE=" + authority}, p.env...)
	var out, complaints bytes.Buffer
	c := p.command(ctx)
	c.Stdout, c.Stderr = &out, &complaints
	err := c.Run()
	t.Logf("%v\n%s%s", err, &out, &complaints)
	return outcome{name: e.name, ended: err, out: out.String(), complaints: complaints.String()}
}

func goProgram(t *testing.T, file string) program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "example")
	program{path: need(t, "go", "golang-go"), args: []string{"build", "-o", binary, "./" + filepath.Join("testdata", filepath.Dir(file))}}.run(t)
	return program{path: binary}
}

// psqlProgram has the psql that the other tests use first on its path.
func psqlProgram(t *testing.T, file string) program {
	t.Helper()
	psql := postgres(t, "psql")
	return small(t, program{
		path: need(t, "bash", "bash"), args: []string{filepath.Join("testdata", file)},
		env: []string{"PATH=" + filepath.Dir(psql) + string(filepath.ListSeparator) + os.Getenv("PATH")},
	})
}

func smallPythonProgram(t *testing.T, file string) program {
	t.Helper()
	return small(t, pythonProgram(t, file))
}

// small has p in less memory than psql, libpq and Python need to keep the rows
// that it reads.
func small(t *testing.T, p program) program {
	t.Helper()
	const limited = `ulimit -d 131072 && exec "$0" "$@"` // KiB
	p.args = append([]string{"-c", limited, p.path}, p.args...)
	p.path = need(t, "bash", "bash")
	return p
}

// smallNodeProgram's heap is smaller than the rows that it reads.
func smallNodeProgram(t *testing.T, file string) program {
	t.Helper()
	p := nodeProgram(t, file)
	p.args = append([]string{"--max-old-space-size=64"}, p.args...) // MiB
	return p
}

// otherAuthority is the file of a certificate that is not the broker's.
func otherAuthority(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "other.crt")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644))
	return file
}

// otherAddress is another address of the broker, which its certificate does not
// name.
func otherAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	require.NoError(t, err)
	var copies sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		copies.Wait()
	})
	copies.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			broker, err := net.Dial("tcp", dev.Info.Broker)
			if err != nil {
				client.Close()
				continue
			}
			for to, from := range map[net.Conn]net.Conn{client: broker, broker: client} {
				copies.Go(func() {
					_, _ = io.Copy(to, from) // ends when either side does
					to.Close()
				})
			}
		}
	})
	return l.Addr().String()
}

// withHost is the connection string with another host and port.
func withHost(t *testing.T, connection, host string) string {
	t.Helper()
	u, err := url.Parse(connection)
	require.NoError(t, err)
	u.Host = host
	return u.String()
}
