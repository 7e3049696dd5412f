package broker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// Connections for logical replication (PostgreSQL 18 manual, 54.4 and 54.5). Each
// gets a server connection of its own, opened for replication and with the client's
// own settings, since a walsender takes no messages of the extended protocol to
// replay them with. It ends with its client, and with it its temporary slots.

// replicates reads the startup parameter, as PostgreSQL does.
func replicates(value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	if strings.EqualFold(value, "database") {
		return true, nil
	}
	switch on, ok := parseBool(value); {
	case !ok:
		return false, errSettingValue("replication", value, "false", "0", "true", "1", "database")
	case on:
		return false, errPhysicalReplication
	}
	return false, nil
}

var errPhysicalReplication = &clientError{
	code:   pgerrcode.FeatureNotSupported,
	msg:    "physical replication is not supported through the broker",
	detail: "It copies a whole server, with the databases of all its tenants.",
	hint:   "connect with replication=database for logical replication, or to the PostgreSQL server itself",
}

func errMayNotReplicate(login string) *clientError {
	return &clientError{
		code: pgerrcode.InsufficientPrivilege,
		msg:  "permission denied to replicate as login \"" + login + "\"",
		hint: "ask the operator for a login that may: dermaga login create --replication",
	}
}

// replicationTarget is target for a client that replicates with these settings.
// Clients whose settings are the same share a key, for the pool's limit, but never
// a server.
func (b *Broker) replicationTarget(r *registry.Route, settings []relay.Param) *relay.Target {
	t := b.target(r)
	t.Key += "/replication/" + fingerprint(settings)
	t.Greeting += "/replication/" + fingerprint(settings)
	t.MinPoolSize = 0
	// A stream is one query for as long as it lasts.
	t.Times = relay.Times{QueryWait: t.Times.QueryWait, WaitNotify: t.Times.WaitNotify}
	key := t.Key
	t.Dial = func(ctx context.Context) (*relay.Server, error) {
		server, err := b.open(ctx, key, r, replicationSettings(settings))
		if err != nil {
			return nil, asTheServerSaid(r.Slug, err)
		}
		return server, nil
	}
	return t
}

// asTheServerSaid passes a server's refusal on as it is: what the role may not do,
// or that a setting does not exist, is between it and the client. A refused
// password is not the client's.
func asTheServerSaid(slug string, err error) error {
	var refused *serverError
	if errors.As(err, &refused) && ownCode(refused.Code) {
		return &clientError{
			code: refused.Code, msg: refused.Message, detail: refused.Detail, hint: refused.Hint, cause: err,
			passing: passes(err),
		}
	}
	return errServer(slug, err)
}

// fingerprint tells sets of settings apart.
func fingerprint(settings []relay.Param) string {
	sorted := slices.SortedFunc(slices.Values(settings), func(a, b relay.Param) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, s := range sorted {
		h.Write([]byte(s.Name + "\x00" + s.Value + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// replicationSettings are the startup parameters beside user and database. The
// settings travel in options, where none of them can pass for a parameter of the
// protocol's.
func replicationSettings(settings []relay.Param) map[string]string {
	parameters := map[string]string{"replication": "database"}
	if len(settings) > 0 {
		var words []string
		for _, s := range settings {
			words = append(words, "-c", optionWord(s.Name+"="+s.Value))
		}
		parameters["options"] = strings.Join(words, " ")
	}
	return parameters
}

// optionWord writes a word of options, in which a backslash keeps a space.
func optionWord(word string) string {
	var b strings.Builder
	for _, c := range []byte(word) {
		if c == '\\' || c == ' ' || c >= '\t' && c <= '\r' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// startupMessage asks a server for route's database as route's role.
func startupMessage(route *registry.Route, more map[string]string) *pgproto3.StartupMessage {
	parameters := map[string]string{}
	for name, value := range more {
		parameters[name] = value
	}
	parameters["user"], parameters["database"] = route.Role, route.Database
	return &pgproto3.StartupMessage{ProtocolVersion: uint32(wire.Version30), Parameters: parameters}
}
