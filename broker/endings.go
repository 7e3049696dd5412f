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

// explain words the relay's reasons to end a client or to refuse what it asks,
// and counts them.
func (b *Broker) explain(r relay.Refusal, t *relay.Target, about string) wire.Fields {
	e := b.refusal(r, t, about)
	if r != relay.Waiting {
		b.counters.ended.count(e.code)
	}
	return e.Fields()
}

func (b *Broker) refusal(r relay.Refusal, t *relay.Target, about string) *clientError {
	switch r {
	case relay.QueryWait:
		e := &clientError{
			code:   pgerrcode.TooManyConnections,
			msg:    fmt.Sprintf("no server connection of tenant %q became free in time", t.Slug),
			detail: fmt.Sprintf("All server connections of the pool (pool_size = %d) were in use for query_wait_timeout.", t.PoolSize),
			hint:   "shorten transactions, or raise the tenant's pool_size or query_wait_timeout",
		}
		if about != "" {
			e.detail += " Kept by their clients: " + about + "."
			e.hint = "end what keeps a server connection (UNLISTEN, DEALLOCATE, unlock, DROP, DISCARD ALL), shorten transactions, or raise the tenant's pool_size"
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
	case relay.DialFailed:
		return errServer(t.Slug, nil)
	}
	return overLimit(r, t, about)
}

// overLimit words what a client does for too long, or may not do in its pool mode.
// The first words are those that users of PgBouncer look for in their logs.
func overLimit(r relay.Refusal, t *relay.Target, about string) *clientError {
	switch r {
	case relay.TooManyPinned:
		return &clientError{
			code:   pgerrcode.TooManyConnections,
			msg:    "too many clients keep a server connection (max_pinned)",
			detail: fmt.Sprintf("This session would keep one, for: %s. The pool (pool_size = %d) lets %d of its clients do so.", about, t.PoolSize, t.Pinnable()),
			hint:   "end what keeps it before the transaction ends, use pool_mode session for such clients, or raise the tenant's pool_size or max_pinned",
		}
	case relay.PinIdle:
		return &clientError{
			code:   pgerrcode.IdleSessionTimeout,
			msg:    "pin_idle_timeout",
			detail: fmt.Sprintf("The session was idle and kept a server connection that others waited for, for: %s.", about),
			hint:   "end what keeps it when it is not needed, or raise pin_idle_timeout",
		}
	case relay.QueryTimeout:
		return &clientError{
			code:   pgerrcode.QueryCanceled,
			msg:    "query timeout",
			detail: fmt.Sprintf("The query was cancelled after query_timeout (%s).", t.Times.Query),
		}
	case relay.IdleTransaction:
		return &clientError{
			code:   pgerrcode.IdleInTransactionSessionTimeout,
			msg:    "idle transaction timeout",
			detail: fmt.Sprintf("The client sent nothing in an open transaction for idle_transaction_timeout (%s); it is rolled back.", t.Times.IdleTransaction),
			hint:   "commit or roll back before the application waits for something else",
		}
	case relay.TransactionTimeout:
		return &clientError{
			code:   codeTransactionTimeout,
			msg:    "transaction timeout",
			detail: fmt.Sprintf("The transaction took longer than transaction_timeout (%s); it is rolled back.", t.Times.Transaction),
		}
	case relay.ClientIdle:
		return &clientError{
			code:   pgerrcode.IdleSessionTimeout,
			msg:    "client_idle_timeout",
			detail: fmt.Sprintf("The client sent nothing for client_idle_timeout (%s).", t.Times.ClientIdle),
		}
	case relay.StateRefused:
		return &clientError{
			code:   pgerrcode.FeatureNotSupported,
			msg:    about + " is not supported in this pool mode",
			detail: "It would stay in a server session that the next transaction of another client uses.",
			hint:   "connect with options='-c dermaga.pool_mode=auto' or session, or set the tenant's transaction_state to clean",
		}
	case relay.ForeignSequence:
		return &clientError{
			code:   pgerrcode.ObjectNotInPrerequisiteState,
			msg:    "lastval is not yet defined in this session",
			detail: "This server session was another client's before, and its sequence values are nobody else's.",
			hint:   "use INSERT ... RETURNING, or read the value in the transaction that has made it",
		}
	case relay.LongStatement:
		return &clientError{
			code:   pgerrcode.ProgramLimitExceeded,
			msg:    "prepared statement is too long for this pool mode",
			detail: "A statement with a name may have 64 KiB there: longer ones are not remembered, and live in one server connection only.",
			hint:   "send it without a name, or connect with options='-c dermaga.pool_mode=auto'",
		}
	case relay.BlockRefused:
		return &clientError{
			code: pgerrcode.FeatureNotSupported,
			msg:  "transaction blocks not allowed in statement pooling mode",
			hint: "connect with options='-c dermaga.pool_mode=auto'",
		}
	}
	return &clientError{ // relay.Waiting
		code:   pgerrcode.SuccessfulCompletion,
		msg:    "No server connection available in postgres backend, client being queued",
		detail: fmt.Sprintf("All server connections of the pool (pool_size = %d) are in use.", t.PoolSize),
	}
}

// codeTransactionTimeout is transaction_timeout of PostgreSQL 17.
const codeTransactionTimeout = "25P04"
