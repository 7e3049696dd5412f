package broker

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/console"
	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
)

// The station of clients that want to talk to the broker itself. Their databases
// are reserved words, which no tenant has, so that only service logins can be
// proven there (registry/login.go).

// maxVisits bounds the clients of the console: it is for a few people and
// programs, and each has two goroutines.
const maxVisits = 100

// consoleAsk bounds the question whether a login may still be here.
const consoleAsk = time.Second

// roles are what logins.console says.
var roles = map[string]console.Role{"stats": console.Stats, "admin": console.Admin}

func (h hello) forConsole() bool { return slices.Contains(console.Names(), h.database) }

// consult lets id into the console. It returns when the client has been told so;
// its visit is the broker's from then on.
func (b *Broker) consult(ctx context.Context, id identity) error {
	if roles[id.login.Console] == console.Nobody {
		return errNotAllowed(id.user)
	}
	l := id.line
	visit, ok := b.console.Admit(b.visitor(id))
	if !ok {
		return errConsoleFull
	}
	key := b.keys.issue(id.version, b.cancelPrefix())
	leave := func() {
		b.keys.drop(key.PID)
		visit.Leave()
	}
	l.say(&pgproto3.AuthenticationOk{})
	for _, p := range console.Greeting() {
		l.say(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	l.say(&pgproto3.BackendKeyData{ProcessID: key.PID, SecretKey: key.Secret})
	l.say(&pgproto3.ReadyForQuery{TxStatus: wire.Idle})
	if err := l.finish(b.cfg.ClientLoginTimeout); err != nil {
		leave()
		return err
	}
	b.keys.own(key.PID, visit)
	b.log.Debug(eventLogin, keyConn, l.id, keyRemote, id.remote, keyDatabase, id.database, keyUser, id.user, keyTook, time.Since(l.began))
	b.visiting.Go(func() {
		defer l.ended()
		defer leave()
		defer func() { // a panic ends one connection, never the process
			if p := recover(); p != nil {
				b.log.Error(eventPanic, keyConn, l.id, keyRemote, id.remote, keyError, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
				_ = l.Close()
			}
		}()
		visit.Serve(b.life, l.Conn)
	})
	return nil
}

// visitor is id as the console knows it.
func (b *Broker) visitor(id identity) console.Visitor {
	v := console.Visitor{
		ID: id.line.number, Database: id.database, User: id.user,
		Remote: id.remote, Local: id.line.socket.LocalAddr().String(), Application: applicationName(id.settings),
	}
	if secured, ok := id.line.Conn.(*poll.TLS); ok {
		v.TLS = secured.Name()
	}
	// Only the visit's own goroutine asks.
	role := roles[id.login.Console]
	v.Role = func(ctx context.Context) console.Role {
		ctx, cancel := context.WithTimeout(ctx, consoleAsk)
		defer cancel()
		entry, err := b.reg.Lookup(ctx, id.database, id.user)
		switch {
		case err != nil: // the console is most needed when something is down
		case entry.Login == nil || entry.Login.ID != id.login.ID:
			role = console.Nobody
		default:
			role = roles[entry.Login.Console]
		}
		return role
	}
	return v
}

func applicationName(settings []relay.Param) string {
	i := slices.IndexFunc(settings, func(p relay.Param) bool { return p.Name == "application_name" })
	if i < 0 {
		return ""
	}
	return settings[i].Value
}

// consoleReport keeps who did what.
func (b *Broker) consoleReport(who console.Visitor, command string, err error) {
	conn := fmt.Sprintf("%s-%d", b.prefix, who.ID)
	if err != nil {
		b.log.Warn(eventConsole, keyConn, conn, keyRemote, who.Remote, keyUser, who.User, keyCommand, command, keyError, err)
		return
	}
	b.log.Info(eventConsole, keyConn, conn, keyRemote, who.Remote, keyUser, who.User, keyCommand, command)
}

func errNotAllowed(login string) *clientError {
	return &clientError{
		code:   pgerrcode.InsufficientPrivilege,
		msg:    "not allowed",
		detail: fmt.Sprintf("Login %q has no right to the console.", login),
		hint:   "the operator makes one that has: dermaga login create NAME --service --console stats",
	}
}

var errConsoleFull = &clientError{
	code: pgerrcode.TooManyConnections,
	msg:  fmt.Sprintf("the console has all the %d clients that it may have", maxVisits),
	hint: "close connections that are not used",
}

// errForced is told to those whom KILL and KILL_CLIENT end.
var errForced = &clientError{
	code: pgerrcode.AdminShutdown,
	msg:  "admin forced disconnect",
	hint: "connect again",
}
