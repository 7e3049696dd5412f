package broker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A clientError is an error that a client is told, in the words of this file and,
// for those who are in already, of endings.go. The words that users of PgBouncer
// look for in their logs begin the message, or stand in the detail.
type clientError struct {
	code, msg    string
	detail, hint string
	reason       string // for programs, where one SQLSTATE has several; in the field Routine
	cause        error  // for the log: the client is not told
	passing      bool   // what it tells of is over by itself, so that others may wait
}

func (e *clientError) Error() string {
	text := fmt.Sprintf("%s (SQLSTATE %s)", e.msg, e.code)
	if e.detail != "" {
		text = fmt.Sprintf("%s: %s (SQLSTATE %s)", e.msg, e.detail, e.code)
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

func (e *clientError) Unwrap() error { return e.cause }

// Temporary tells the relay whether waiting for another try makes sense.
func (e *clientError) Temporary() bool { return e.passing }

// at is e with the connection's id, where the client is sent to the operator: he
// finds it in the log.
func (e *clientError) at(conn string) *clientError {
	if e.cause == nil {
		return e
	}
	named := *e
	named.detail = strings.TrimSpace(e.detail + "\nThis is connection " + conn + " in the broker's log.")
	return &named
}

// Fields is e as the relay passes it on. All errors of a ceremony end it, so
// all are FATAL.
func (e *clientError) Fields() wire.Fields {
	return wire.Fields{Severity: "FATAL", Code: e.code, Message: e.msg, Detail: e.detail, Hint: e.hint, Routine: e.reason}
}

func (e *clientError) response() *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL",
		Code: e.code, Message: e.msg, Detail: e.detail, Hint: e.hint, Routine: e.reason,
	}
}

// lastWords are for a client whose ceremony, which may take as long as limit, ends
// with an error that has no words of its own. Nil: there is nobody to tell.
func lastWords(err error, limit time.Duration) *clientError {
	var handshake *handshakeError // what would be said in clear is no TLS
	var network net.Error
	switch {
	case errors.As(err, &handshake):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &clientError{
			code:   pgerrcode.QueryCanceled, // as PostgreSQL's authentication_timeout
			msg:    "client_login_timeout",
			detail: fmt.Sprintf("The client did not prove who it is within %s.", limit),
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &network):
		return nil
	}
	return &clientError{
		code: pgerrcode.InternalError, msg: "the broker failed to let the client in", cause: err,
		hint: "the operator finds the cause in the broker's log",
	}
}

// asClientError finds what to tell the client about err, nil when nothing.
func asClientError(err error) *clientError {
	var told *clientError
	if errors.As(err, &told) {
		return told
	}
	var option *wire.OptionError
	switch {
	case errors.As(err, &option):
		return &clientError{
			code: pgerrcode.SyntaxError, msg: option.Error(),
			detail: "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
			hint:   "options takes -c name=value and --name=value",
		}
	case errors.Is(err, wire.ErrLayout):
		return &clientError{code: pgerrcode.ProtocolViolation, msg: wire.ErrLayout.Error()}
	case errors.Is(err, wire.ErrPacketLength):
		return &clientError{code: pgerrcode.ProtocolViolation, msg: wire.ErrPacketLength.Error()}
	case errors.Is(err, wire.ErrNoUser):
		return &clientError{code: pgerrcode.InvalidAuthorizationSpecification, msg: wire.ErrNoUser.Error()}
	}
	return nil
}

// The greeting.

var errClearBytes = &clientError{
	code:   pgerrcode.ProtocolViolation,
	msg:    "received unencrypted data after SSL request",
	detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
}

var errNoALPN = &clientError{
	code: pgerrcode.ProtocolViolation,
	msg:  "received direct SSL connection request without ALPN protocol negotiation extension",
	hint: `offer the protocol "postgresql", or use sslnegotiation=postgres`,
}

var errTLSRequired = &clientError{
	code: pgerrcode.InvalidAuthorizationSpecification,
	msg:  "SSL required: the connection is not encrypted",
	hint: "this broker takes TLS only: connect with sslmode=require",
}

func errVersion(v wire.Version) *clientError {
	return &clientError{
		code: pgerrcode.FeatureNotSupported,
		msg:  fmt.Sprintf("unsupported frontend protocol %s: server supports 3.0 to %s", v, wire.Version32),
	}
}

func errSettingName(name string) *clientError {
	return &clientError{
		code: pgerrcode.UndefinedObject,
		msg:  fmt.Sprintf("unrecognized configuration parameter %q", name),
	}
}

func errSettingFixed(name string) *clientError {
	return &clientError{
		code: pgerrcode.CantChangeRuntimeParam,
		msg:  fmt.Sprintf("unsupported startup parameter: %s cannot be set when connecting through the broker", name),
	}
}

func errSettingValue(name, value string, allowed ...string) *clientError {
	e := &clientError{
		code: pgerrcode.InvalidParameterValue,
		msg:  fmt.Sprintf("invalid value for parameter %q: %q", name, value),
	}
	if len(allowed) > 0 {
		e.hint = "Available values: " + strings.Join(allowed, ", ") + "."
	}
	return e
}

// Authentication. Whatever is wrong with a name or a password, the answer is
// errPassword: it must not tell which.

func errPassword(user string) *clientError {
	return &clientError{
		code: pgerrcode.InvalidPassword,
		msg:  fmt.Sprintf("password authentication failed for user %q", user),
	}
}

func errExpected(what string, got byte) *clientError {
	return &clientError{
		code: pgerrcode.ProtocolViolation,
		msg:  fmt.Sprintf("expected %s, got message type %d", what, got),
	}
}

func errTooLong(what string) *clientError {
	return &clientError{code: pgerrcode.ProtocolViolation, msg: what + " is too long"}
}

func errMalformedSCRAM(detail string) *clientError {
	return &clientError{code: pgerrcode.ProtocolViolation, msg: "malformed SCRAM message", detail: detail}
}

var errMechanism = &clientError{
	code: pgerrcode.ProtocolViolation,
	msg:  "client selected an invalid SASL authentication mechanism",
	hint: "this broker offers SCRAM-SHA-256",
}

var errChannelBinding = &clientError{
	code: pgerrcode.ProtocolViolation,
	msg:  "client requires SCRAM channel binding, but it is not supported",
	hint: "connect with channel_binding=prefer",
}

var errAuthorizationIdentity = &clientError{
	code: pgerrcode.FeatureNotSupported,
	msg:  "client uses authorization identity, but it is not supported",
}

var errSCRAMExtension = &clientError{
	code: pgerrcode.FeatureNotSupported,
	msg:  "client requires an unsupported SCRAM extension",
}

var errRegistryDown = &clientError{
	code: pgerrcode.CannotConnectNow,
	msg:  "the broker cannot reach its registry",
	hint: "try again in a moment; the operator finds the cause in the broker's log",
}

// Routing: only who has authenticated is told any of this.

// Reasons that package tenancy and other programs go by.
const (
	reasonUnknown      = "tenant_unknown"
	reasonSuspended    = "tenant_suspended"
	reasonProvisioning = "tenant_provisioning"
	reasonMigrating    = "tenant_migrating"
)

func errNoTenant(database string) *clientError {
	return &clientError{
		code:   pgerrcode.InvalidCatalogName,
		msg:    fmt.Sprintf("database %q does not exist", database),
		detail: "no such database: " + database,
		hint:   "the database is the slug of a tenant; there is none of that name for this login",
		reason: reasonUnknown,
	}
}

func errSuspended(slug, reason string) *clientError {
	return &clientError{
		code:   pgerrcode.CannotConnectNow,
		msg:    fmt.Sprintf("tenant %q is suspended", slug),
		detail: reason,
		hint:   "ask the operator to find the cause in the tenant's activities and to resume it",
		reason: reasonSuspended,
	}
}

func errProvisioning(slug string) *clientError {
	return &clientError{
		code:   pgerrcode.CannotConnectNow,
		msg:    fmt.Sprintf("tenant %q is still being provisioned", slug),
		hint:   "try again in a moment",
		reason: reasonProvisioning,
	}
}

func errMigrating(slug string) *clientError {
	return &clientError{
		code:   pgerrcode.CannotConnectNow,
		msg:    fmt.Sprintf("tenant %q is being migrated", slug),
		hint:   "the migration took longer than new connections are held for; try again in a moment",
		reason: reasonMigrating,
	}
}

func errTenantClients(slug, plan string, limit int) *clientError {
	return &clientError{
		code:   pgerrcode.TooManyConnections,
		msg:    fmt.Sprintf("too many clients for tenant %q", slug),
		detail: fmt.Sprintf("client connections exceeded (max_db_client_connections): the tenant (plan %s) may have max_clients = %d clients at once.", plan, limit),
		hint:   "close clients that are not used, or raise the tenant's max_clients",
	}
}

func errLoginClients(login string, limit int) *clientError {
	return &clientError{
		code:   pgerrcode.TooManyConnections,
		msg:    fmt.Sprintf("too many connections for login %q", login),
		detail: fmt.Sprintf("client connections exceeded (max_user_client_connections): the login may have max_clients = %d clients at once.", limit),
		hint:   "close clients that are not used, or raise the login's max_clients",
	}
}

// errClients is for the connection that is one too many.
func errClients(limit int) *clientError {
	return &clientError{
		code:   pgerrcode.TooManyConnections,
		msg:    "no more connections allowed (max_client_conn)",
		detail: fmt.Sprintf("max_client_conn is %d.", limit),
		hint:   "close clients that are not used, or raise the broker's max_client_conn",
	}
}

var errShuttingDown = &clientError{
	code:   pgerrcode.AdminShutdown,
	msg:    "the broker is shutting down",
	detail: "pooler is shutting down",
	hint:   "connect again: another instance, or this one when it is back",
}

// Servers.

// A serverError is what a server answered instead of letting the broker in.
// Its code is empty when the server sent none (CVE-2026-6666).
type serverError struct{ wire.Fields }

func (e *serverError) Error() string {
	code := e.Code
	if code == "" {
		code = "none"
	}
	return "server: " + e.Message + " (SQLSTATE " + code + ")"
}

// errServer says that no server could be had. What the server itself said is
// passed on; what went wrong inside the broker is for its log.
func errServer(slug string, err error) *clientError {
	if told := asClientError(err); told != nil {
		return told
	}
	e := &clientError{
		code:  pgerrcode.ConnectionFailure,
		msg:   fmt.Sprintf("cannot connect to the server of tenant %q", slug),
		hint:  "try again in a moment; the operator finds the cause in the broker's log",
		cause: err,
	}
	e.passing = passes(err)
	var refused *serverError
	if errors.As(err, &refused) {
		e.detail = "The server said: " + refused.Message
		var recalled *recalledError
		if errors.As(err, &recalled) {
			e.detail = "server login has been failing, cached error: " + refused.Message + " (server_login_retry)"
		}
		if ownCode(refused.Code) {
			e.code = refused.Code
		}
		if refused.Code == pgerrcode.InvalidCatalogName {
			e.hint = "its database is not there any more: the operator restores it, or deletes the tenant"
		}
	}
	return e
}

// ownCode reports whether a server's SQLSTATE may be a client's too. Of class 28
// it would say that the client's own password is wrong; one that is no SQLSTATE
// says nothing.
func ownCode(code string) bool {
	if len(code) != 5 || strings.HasPrefix(code, "28") || strings.HasPrefix(code, "00") {
		return false
	}
	return strings.Trim(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
