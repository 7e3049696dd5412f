package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/xdg-go/scram"
)

// peerRole is who logs in directly and through the peers.
const peerRole = "dermaga_bench"

// What the run does to the database that pgbench filled. The tables may be read
// by everybody who may connect: Dermaga's own role has the same path to them as
// the peers' role.
const (
	createPeerRole = `
		DO $$ BEGIN
			IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'dermaga_bench') THEN
				CREATE ROLE dermaga_bench LOGIN;
			END IF;
		END $$`
	openTables = `
		GRANT USAGE ON SCHEMA public TO PUBLIC;
		GRANT SELECT ON pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history TO PUBLIC`
	roomLeft = `
		SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		     - (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')`
)

// database is what everybody's transactions read in the end.
type database struct {
	server   address // of the superuser
	name     string
	version  string
	room     int // connections that a client count of direct may take
	password string
	verifier string
}

// openDatabase starts Dermaga with its PostgreSQL, or takes the server of
// -server-url, and fills a database. The target is nil when Dermaga is not to
// be measured or does not start.
func (w *workplace) openDatabase(ctx context.Context, o options, r *result) (*database, *target, error) {
	var db database
	var own *target
	if o.wants(dermaga) {
		t, superuser, err := w.startDermaga(ctx, o)
		switch {
		case err == nil:
			db.server, db.name, own = superuser, tenantDatabase, t
		case o.serverURL != "":
			r.note("%s is left out: %s", dermaga, err)
		default:
			return nil, nil, fmt.Errorf("dermaga, which starts the PostgreSQL for all (-server-url names another): %w", err)
		}
	}
	if own == nil {
		if o.serverURL == "" {
			return nil, nil, fmt.Errorf("without %s, -server-url has to name a PostgreSQL", dermaga)
		}
		var err error
		if db.server, err = parseURL(o.serverURL); err != nil {
			return nil, nil, err
		}
		db.name = peerRole
	}
	return &db, own, w.fill(ctx, o, &db, own == nil)
}

// fill makes the peers' role and pgbench's tables. What it made on a server
// that outlives the run goes away with the workplace.
func (w *workplace) fill(ctx context.Context, o options, db *database, create bool) error {
	conn, err := pgx.Connect(ctx, db.server.url())
	if err != nil {
		return fmt.Errorf("superuser's login: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	db.version = "PostgreSQL " + conn.PgConn().ParameterStatus("server_version")
	if err := conn.QueryRow(ctx, roomLeft).Scan(&db.room); err != nil {
		return fmt.Errorf("count free connections: %w", err)
	}
	if db.password, db.verifier, err = newCredential(); err != nil {
		return err
	}
	name := pgx.Identifier{db.name}.Sanitize()
	steps := []string{createPeerRole, "ALTER ROLE " + peerRole + " PASSWORD '" + db.verifier + "'"}
	if create {
		// FORCE: a run that was killed may have left both.
		steps = append(steps, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)", "CREATE DATABASE "+name)
		w.atClose(func() error { return db.drop() })
	}
	// The tenant's database admits its own roles only, and few of them.
	steps = append(steps, "ALTER DATABASE "+name+" CONNECTION LIMIT -1", "GRANT CONNECT ON DATABASE "+name+" TO "+peerRole)
	for _, sql := range steps {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare database %s: %w", db.name, err)
		}
	}
	if err := w.initPgbench(ctx, o, db); err != nil {
		return err
	}
	return db.open(ctx)
}

// open lets every role that may connect read pgbench's tables.
func (db *database) open(ctx context.Context) error {
	at := db.server
	at.database = db.name
	conn, err := pgx.Connect(ctx, at.url())
	if err != nil {
		return fmt.Errorf("superuser's login to %s: %w", db.name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, openTables); err != nil {
		return fmt.Errorf("grant pgbench's tables: %w", err)
	}
	return nil
}

func (w *workplace) initPgbench(ctx context.Context, o options, db *database) error {
	at := db.server
	at.database = db.name
	if err := os.WriteFile(w.passfile, []byte(at.passLine()), 0o600); err != nil {
		return fmt.Errorf("write password file: %w", err)
	}
	cmd := exec.CommandContext(ctx, w.pgbench, "-i", "-q", "-s", strconv.Itoa(o.scale),
		"-h", at.host, "-p", at.port, "-U", at.user, at.database)
	cmd.Env = w.clientEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	return nil
}

func (db *database) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, db.server.url())
	if err != nil {
		return fmt.Errorf("drop database %s: %w", db.name, err)
	}
	defer conn.Close(ctx)
	for _, sql := range []string{
		"DROP DATABASE IF EXISTS " + pgx.Identifier{db.name}.Sanitize() + " WITH (FORCE)",
		"DROP ROLE IF EXISTS " + peerRole,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("drop database %s: %w", db.name, err)
		}
	}
	return nil
}

// peer is where the peers' role logs in on some host and port.
func (db *database) peer(port string) address {
	return address{host: "127.0.0.1", port: port, database: db.name, user: peerRole, password: db.password}
}

func (db *database) direct() target {
	at := db.peer(db.server.port)
	at.host = db.server.host
	return target{
		name: direct, version: db.version, at: at, maxLoad: db.room,
		maxCause: fmt.Sprintf("the server has room for %d connections", db.room),
	}
}

// newCredential makes a password and the verifier that PostgreSQL and PgBouncer
// store for it: with the same one on both, PgBouncer can log in to the server
// by its client's proof, and computes no PBKDF2.
func newCredential() (password, verifier string, err error) {
	const iterations = 4096 // PostgreSQL's
	password = rand.Text()
	c, err := scram.SHA256.NewClient(peerRole, password, "")
	if err != nil {
		return "", "", fmt.Errorf("make SCRAM verifier: %w", err)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand
	stored, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return "", "", fmt.Errorf("make SCRAM verifier: %w", err)
	}
	encode := base64.StdEncoding.EncodeToString
	return password, fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations,
		encode(salt), encode(stored.StoredKey), encode(stored.ServerKey)), nil
}

func (a address) url() string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(a.user, a.password),
		Host: a.host + ":" + a.port, Path: "/" + a.database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

func parseURL(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, fmt.Errorf("URL of a server: %w", err)
	}
	password, _ := u.User.Password()
	a := address{host: u.Hostname(), port: u.Port(), database: u.Path, user: u.User.Username(), password: password}
	if len(a.database) > 0 {
		a.database = a.database[1:]
	}
	if a.port == "" {
		a.port = "5432"
	}
	return a, nil
}

// answers logs in and asks one thing: a target that cannot do that has no
// figures worth taking.
func (a address) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, a.url())
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var branches int
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pgbench_branches`, pgx.QueryExecModeSimpleProtocol).Scan(&branches)
	if err != nil {
		return fmt.Errorf("read pgbench's tables: %w", err)
	}
	return nil
}
