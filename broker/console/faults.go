package console

import (
	"errors"
	"fmt"

	"github.com/jackc/pgerrcode"

	"github.com/nusajournal/dermaga/broker/wire"
)

// A fault is what a client is told; its connection lives on. The messages begin
// with the words of PgBouncer, for which people search.
type fault struct{ code, message, detail, hint string }

func (f *fault) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", f.message, f.code) }

// fields is f in a message of this severity.
func (f *fault) fields(severity string) wire.Fields {
	return wire.Fields{Severity: severity, Code: f.code, Message: f.message, Detail: f.detail, Hint: f.hint}
}

var (
	faultAdmin = &fault{
		code: pgerrcode.InsufficientPrivilege, message: "admin access needed",
		hint: "this login may only SHOW; one made with --console admin may do the rest",
	}
	faultArguments = &fault{code: pgerrcode.SyntaxError, message: "bad arguments"}
	faultPaused    = &fault{code: pgerrcode.ObjectNotInPrerequisiteState, message: "already suspended/paused", hint: "RESUME ends it"}
	faultNotPaused = &fault{code: pgerrcode.ObjectNotInPrerequisiteState, message: "pooler is not paused/suspended"}
	faultResumed   = &fault{
		code: pgerrcode.ObjectNotInPrerequisiteState, message: "the pause was ended by RESUME",
		detail: "Transactions were still running.",
	}
	faultCancelled = &fault{
		code: pgerrcode.QueryCanceled, message: "canceling statement due to user request",
		detail: "A pause that was waited for is undone.",
	}
	faultPointer  = &fault{code: pgerrcode.InvalidTextRepresentation, message: "invalid client pointer supplied", hint: "SHOW CLIENTS has the numbers, in its last column"}
	faultNoClient = &fault{code: pgerrcode.UndefinedObject, message: "client not found"}
	faultReload   = &fault{code: pgerrcode.ConfigFileError, message: "RELOAD failed, see logs for additional details", detail: "Everything stays as it was."}
	faultSet      = &fault{
		code: pgerrcode.FeatureNotSupported, message: "SET failed",
		hint: "the broker's settings are those it was started with; a tenant's are changed with dermaga tenant set",
	}
	faultUnanswered = &fault{
		code: pgerrcode.QueryCanceled, message: "the broker did not answer in time",
		hint: "try again; the cause is in the broker's log",
	}
	faultMany = &fault{code: pgerrcode.ProgramLimitExceeded, message: "too many prepared statements or portals"}
)

// What ends a visit.
var (
	faultStopping = &fault{code: pgerrcode.AdminShutdown, message: "the broker is shutting down"}
	faultKilled   = &fault{code: pgerrcode.AdminShutdown, message: "admin forced disconnect"}
	faultBarred   = &fault{
		code: pgerrcode.AdminShutdown, message: "not allowed any more",
		detail: "The login was disabled, has expired, or lost its right to the console.",
	}
)

func faultSyntax(text string) *fault {
	return &fault{code: pgerrcode.SyntaxError, message: fmt.Sprintf("invalid command '%s', use SHOW HELP;", text)}
}

func faultNoDatabase(name string) *fault {
	return &fault{
		code: pgerrcode.InvalidCatalogName, message: "no such database: " + name,
		hint: "a database is a tenant's slug: dermaga tenant list",
	}
}

func faultDatabaseNotPaused(name string) *fault {
	return &fault{code: pgerrcode.ObjectNotInPrerequisiteState, message: fmt.Sprintf("database %s is not paused", name)}
}

func faultAdminDatabase(verb, name string) *fault {
	return &fault{code: pgerrcode.WrongObjectType, message: fmt.Sprintf("cannot %s admin db: %s", verb, name)}
}

func faultElsewhere(verb, hint string) *fault {
	return &fault{code: pgerrcode.FeatureNotSupported, message: verb + " is not done in this console", hint: hint}
}

func faultProtocol(format string, args ...any) *fault {
	return &fault{code: pgerrcode.ProtocolViolation, message: fmt.Sprintf(format, args...)}
}

// asFault finds what to say of err, nil if that is for the log only.
func asFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}
