package broker

import (
	"fmt"

	"github.com/jackc/pgerrcode"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// What ends clients that are here already.

// errEnded is told to the clients of a tenant whose status ends sessions. Those
// that come later get another answer (resolve.go).
func errEnded(t registry.TenantState) *clientError {
	switch t.Status {
	case registry.Suspended:
		e := errSuspended(t.Slug, t.Reason)
		e.code = pgerrcode.AdminShutdown
		return e
	case registry.Deleted:
		return errNoTenant(t.Slug)
	}
	e := errProvisioning(t.Slug)
	e.code = pgerrcode.AdminShutdown
	return e
}

func errLoginGone(login string) *clientError {
	return &clientError{
		code: pgerrcode.AdminShutdown,
		msg:  fmt.Sprintf("login %q was disabled, has expired or was removed", login),
		hint: "ask the operator for a login that is valid",
	}
}

func errGrantGone(login, slug string) *clientError {
	return &clientError{
		code: pgerrcode.AdminShutdown,
		msg:  fmt.Sprintf("login %q may not use database %q any more", login, slug),
		hint: "ask the operator for the grant",
	}
}

var errDisconnected = &clientError{
	code: pgerrcode.AdminShutdown,
	msg:  "terminating connection due to administrator command",
	hint: "connect again",
}

// explain words the relay's reasons to end a client, and counts them.
func (b *Broker) explain(r relay.Refusal, t *relay.Target) wire.Fields {
	e := b.refusal(r, t)
	b.counters.ended.count(e.code)
	return e.Fields()
}

func (b *Broker) refusal(r relay.Refusal, t *relay.Target) *clientError {
	switch r {
	case relay.QueryWait:
		e := &clientError{
			code:   pgerrcode.TooManyConnections,
			msg:    fmt.Sprintf("no server connection of tenant %q became free in time", t.Slug),
			detail: fmt.Sprintf("All server connections of the pool (pool_size = %d) were in use for query_wait_timeout.", t.PoolSize),
			hint:   "shorten transactions, or raise the tenant's pool_size or query_wait_timeout",
		}
		if share, short := b.limits.short(t); short {
			e.detail = fmt.Sprintf("All connections that this broker may have to the tenant's PostgreSQL server (%d) were in use for query_wait_timeout.", share)
			e.hint = "shorten transactions, or raise query_wait_timeout; the operator can give the server more connections"
		}
		return e
	case relay.NoPlace:
		return &clientError{
			code:   pgerrcode.TooManyConnections,
			msg:    "too many tenants are open at once",
			detail: fmt.Sprintf("All tenant pools (MAX_CONNECTIONS = %d) were in use for query_wait_timeout.", b.cfg.MaxConnections),
			hint:   "raise MAX_CONNECTIONS, or try again when other tenants are idle",
		}
	case relay.ServerLost:
		return &clientError{
			code:   pgerrcode.ConnectionFailure,
			msg:    "server closed the connection unexpectedly",
			detail: "What had not committed is rolled back; the broker repeats nothing.",
			hint:   "connect again",
		}
	case relay.QueueFull:
		return &clientError{
			code:   pgerrcode.TooManyConnections,
			msg:    fmt.Sprintf("too many clients of tenant %q wait for a server connection", t.Slug),
			detail: fmt.Sprintf("The pool (pool_size = %d) has a queue of queue_length = %d clients.", t.PoolSize, t.QueueLength),
			hint:   "shorten transactions, or raise the tenant's pool_size or queue_length",
		}
	case relay.ShuttingDown:
		return errShuttingDown
	case relay.HeldTooLong:
		return errMigrating(t.Slug)
	case relay.Malformed:
		return &clientError{code: pgerrcode.ProtocolViolation, msg: "invalid message format"}
	}
	return errServer(t.Slug, nil) // relay.DialFailed
}
