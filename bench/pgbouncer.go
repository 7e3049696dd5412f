package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// pgbouncerIni is PgBouncer at its best for this load: no logs, no statistics
// while the load runs, plain TCP.
const pgbouncerIni = `[databases]
%[1]s = host=%[2]s port=%[3]s dbname=%[1]s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[4]s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %[5]s/userlist.txt
pool_mode = transaction
default_pool_size = %[6]d
max_client_conn = 2000
max_prepared_statements = 100
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
log_stats = 0
client_tls_sslmode = disable
server_tls_sslmode = disable
`

func (w *workplace) startPgBouncer(ctx context.Context, o options, db *database) (target, error) {
	p, err := o.findPeer(o.pgbouncer, pgbouncerProgram)
	if err != nil {
		return target{}, err
	}
	outside, inside, err := w.folder(p, pgbouncer)
	if err != nil {
		return target{}, err
	}
	port, err := freePort()
	if err != nil {
		return target{}, err
	}
	ini := fmt.Sprintf(pgbouncerIni, db.name, db.server.host, db.server.port, port, inside, o.pool)
	if err := p.write(filepath.Join(outside, "pgbouncer.ini"), ini); err != nil {
		return target{}, err
	}
	users := fmt.Sprintf("%q %q\n", peerRole, db.verifier)
	if err := p.write(filepath.Join(outside, "userlist.txt"), users); err != nil {
		return target{}, err
	}
	child, err := w.start(pgbouncer, p.command(inside+"/pgbouncer.ini"))
	if err != nil {
		return target{}, err
	}
	t := target{name: pgbouncer, version: p.version(), at: db.peer(port), pid: child.pid()}
	return t, child.until(ctx, func() bool { return listens(t.at.host, port) })
}
