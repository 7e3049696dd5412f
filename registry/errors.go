package registry

import "errors"

// Errors that callers ask for with errors.Is. What PostgreSQL said is wrapped
// beside them.
var (
	// ErrNotFound: no such tenant, server, login or token.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: a value that was given breaks a rule; the message names both.
	ErrInvalid = errors.New("invalid")
	// ErrSlugTaken: a tenant, perhaps a deleted one in its grace period, has
	// this slug.
	ErrSlugTaken = errors.New("slug is taken")
	// ErrLoginTaken: a login's name is never both a tenant's and a service's.
	ErrLoginTaken = errors.New("login name is taken")
	// ErrServerTaken: two servers with one address would count one machine's
	// connections twice.
	ErrServerTaken = errors.New("another server has this address")
	// ErrNoServer: no active server has room for one more tenant.
	ErrNoServer = errors.New("no active server has room for a tenant")
	// ErrTransition: the tenant's status does not allow that change.
	ErrTransition = errors.New("status change is not allowed")
	// ErrConflict: somebody else changed the tenant since it was read.
	ErrConflict = errors.New("changed by somebody else meanwhile")
	// ErrUnavailable: the registry does not answer, and nothing that was
	// remembered could stand in for it.
	ErrUnavailable = errors.New("registry is unavailable")
	// ErrSchemaOld: the registry's schema is older than this binary.
	ErrSchemaOld = errors.New("registry schema is too old: run dermaga registry migrate")

	// ErrWrongKey: sealed, or registered, under an ENCRYPTION_KEY that we do
	// not have.
	ErrWrongKey = errors.New("wrong ENCRYPTION_KEY: give the one that this registry was sealed with")
	// ErrTruncated: a sealed value is not whole.
	ErrTruncated = errors.New("sealed value is cut short or damaged: restore its row from a backup, or set a new password")
	// ErrNotItsRow: the key is right and the value is whole, but it was sealed
	// for another row or changed since.
	ErrNotItsRow = errors.New("sealed value does not belong to this row: it was copied or changed; set a new password")
	// ErrSealFormat: sealed by a newer release.
	ErrSealFormat = errors.New("sealed value has a format that this release does not know: use a newer one")
)
