package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/nusajournal/dermaga/registry"
)

// An identity is a client that has proven to be a login.
type identity struct {
	hello
	login *registry.Login
}

// authenticate proves who h is. A wrong password, an unknown slug, an unknown
// login and a login of another tenant take the same exchange to the same error:
// nothing about tenants is revealed before it returns.
func (b *Broker) authenticate(ctx context.Context, h hello) (identity, error) {
	entry, err := b.lookup(ctx, h.database, h.user)
	if err != nil {
		return identity{}, err
	}
	credentials, genuine := b.credentials(entry, h)
	x, err := newExchange(credentials...)
	if err != nil {
		return identity{}, err
	}

	h.line.say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{mechanism}})
	message, err := h.line.hearInitial()
	if err != nil {
		return identity{}, err
	}
	reply, err := x.first(message)
	if err != nil {
		return identity{}, err
	}
	h.line.say(&pgproto3.AuthenticationSASLContinue{Data: []byte(reply)})
	message, err = h.line.hearSASL()
	if err != nil {
		return identity{}, err
	}
	reply, proven, err := x.final(message)
	if err != nil {
		return identity{}, err
	}
	if !proven || !genuine {
		return identity{}, errPassword(h.user)
	}
	// Sent together with what follows: the client waits for that anyway.
	h.line.say(&pgproto3.AuthenticationSASLFinal{Data: []byte(reply)})
	return identity{hello: h, login: entry.Login}, nil
}

// lookup asks the registry who user is at database. Both are a stranger's words;
// the registry knows what to do with names that can be neither.
func (b *Broker) lookup(ctx context.Context, database, user string) (registry.Entry, error) {
	entry, err := b.reg.Lookup(ctx, database, user)
	if errors.Is(err, registry.ErrUnavailable) {
		b.log.Error(eventRegistry, keyError, err)
		return registry.Entry{}, errRegistryDown
	}
	return entry, err
}

// credentials chooses what h's password is checked against. genuine is false
// for a mock that no password passes.
//
// A service login is proven at any slug, granted or not, there or not: its salt
// would otherwise tell anybody which slugs it has.
func (b *Broker) credentials(entry registry.Entry, h hello) (all []scram.StoredCredentials, genuine bool) {
	login := entry.Login
	if login != nil && (login.Service || entry.Route != nil) {
		for _, v := range login.Verifiers { // newest first
			c, err := parseVerifier(v)
			switch {
			case err != nil:
				b.log.Error(eventVerifier, keyConn, h.line.id, keyUser, login.Name, keyError, err)
			case len(all) == 0 || c.KeyFactors == all[0].KeyFactors:
				// The salt is sent before the client proves anything: only what shares
				// the newest one's can be tried. A rotation with an overlap keeps it.
				all = append(all, c)
			}
		}
		if len(all) > 0 {
			return all, true
		}
	}
	return []scram.StoredCredentials{mockVerifier(b.mockSecret, h.database, h.user)}, false
}

// hearInitial reads the SASLInitialResponse, the only message that a client may
// send now. (A second StartupMessage here is how CVE-2026-107350 became another
// user.)
func (l *line) hearInitial() ([]byte, error) {
	body, err := l.hearSASL()
	if err != nil {
		return nil, err
	}
	end := bytes.IndexByte(body, 0)
	if end < 0 || len(body) < end+5 {
		return nil, errMalformedSCRAM("The SASLInitialResponse is cut short.")
	}
	if string(body[:end]) != mechanism {
		return nil, errMechanism
	}
	data := body[end+5:]
	if announced := binary.BigEndian.Uint32(body[end+1:]); uint64(announced) != uint64(len(data)) {
		return nil, errMalformedSCRAM("The SASLInitialResponse's length is not the one of its data.")
	}
	return data, nil
}

// passwordMessage is the type of every message that answers an authentication
// request.
const passwordMessage = 'p'

// hearSASL sends what was said and reads one SASL message.
func (l *line) hearSASL() ([]byte, error) {
	if err := l.flush(); err != nil {
		return nil, err
	}
	kind, body, err := l.hear(maxSASLMessage)
	var length *lengthError
	if errors.As(err, &length) {
		if length.kind == passwordMessage {
			return nil, errTooLong("SASL response")
		}
		return nil, errExpected("SASL response", length.kind)
	}
	if err != nil {
		return nil, err
	}
	if kind != passwordMessage {
		return nil, errExpected("SASL response", kind)
	}
	return body, nil
}
