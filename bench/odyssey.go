package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// odysseyConf is Odyssey with one worker (more cost CPU on two cores) and no
// logs.
const odysseyConf = `daemonize no
log_format "%%p %%t %%l %%m\n"
log_to_stdout no
log_config no
log_session no
log_query no
log_debug no
log_stats no
workers 1
resolvers 1
client_max 2000
coroutine_stack_size 24

listen {
	host "127.0.0.1"
	port %[4]s
}

storage "server" {
	type "remote"
	host "[%[2]s]:%[3]s"
}

database "%[1]s" {
	user "%[5]s" {
		authentication "scram-sha-256"
		password "%[6]s"
		storage "server"
		storage_user "%[5]s"
		storage_password "%[7]s"
		pool "transaction"
		pool_size %[8]d
		pool_discard no
		pool_reserve_prepared_statement yes
		log_debug no
	}
}
`

func (w *workplace) startOdyssey(ctx context.Context, o options, db *database) (target, error) {
	p, err := o.findPeer(o.odyssey, odysseyProgram)
	if err != nil {
		return target{}, err
	}
	outside, inside, err := w.folder(p, odyssey)
	if err != nil {
		return target{}, err
	}
	port, err := freePort()
	if err != nil {
		return target{}, err
	}
	conf := fmt.Sprintf(odysseyConf, db.name, db.server.host, db.server.port, port,
		peerRole, db.verifier, db.password, o.pool)
	if err := p.write(filepath.Join(outside, "odyssey.conf"), conf); err != nil {
		return target{}, err
	}
	child, err := w.start(odyssey, p.command(inside+"/odyssey.conf"))
	if err != nil {
		return target{}, err
	}
	t := target{name: odyssey, version: p.version(), at: db.peer(port), pid: child.pid()}
	return t, child.until(ctx, func() bool { return listens(t.at.host, port) })
}
