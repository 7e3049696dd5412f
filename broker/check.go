package broker

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// Check proves that a client could log in to slug with login and password, and
// that its queries would be answered: the registry knows the login, its verifier
// accepts the password, the route's credential opens, the server lets the role
// in and answers. It asks the registry past the cache, and works before a tenant
// is ACTIVE.
func (b *Broker) Check(ctx context.Context, slug, login string, password registry.Secret) error {
	entry, err := b.reg.LookupFresh(ctx, slug, login)
	if err != nil {
		return fmt.Errorf("check %s: %w", slug, err)
	}
	if err := check(ctx, b.dialer, entry, password); err != nil {
		return fmt.Errorf("check %s as %s: %w", slug, login, err)
	}
	return nil
}

func check(ctx context.Context, d *dialer, entry registry.Entry, password registry.Secret) error {
	switch {
	case entry.Tenant == nil:
		return errors.New("the registry has no such tenant")
	case entry.Login == nil:
		return errors.New("the registry has no such login")
	case entry.Route == nil:
		return errors.New("the login has no route: no grant, or the tenant is deleted")
	case entry.Route.CredentialErr != nil:
		return fmt.Errorf("credential of its server role: %w", entry.Route.CredentialErr)
	case len(entry.Login.Verifiers) == 0:
		return errors.New("the login has no valid password")
	}
	if err := accepts(entry.Login.Verifiers[0], password); err != nil {
		return err
	}
	server, err := d.dial(ctx, entry.Route, nil)
	if err != nil {
		return err
	}
	defer server.Conn.Close()
	if err := selectOne(ctx, server); err != nil {
		return fmt.Errorf("SELECT 1: %w", err)
	}
	return nil
}

// accepts reports whether a verifier was made from password.
func accepts(verifier string, password registry.Secret) error {
	want, err := parseVerifier(verifier)
	if err != nil {
		return err
	}
	client, err := newClient(password)
	if err != nil {
		return err
	}
	have, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: want.Salt, Iters: want.Iters})
	if err != nil {
		return err
	}
	if !hmac.Equal(have.StoredKey, want.StoredKey) || !hmac.Equal(have.ServerKey, want.ServerKey) {
		return errors.New("the login's verifier does not accept the password")
	}
	return nil
}

// selectOne runs a query on a server that has just logged in, and says goodbye.
func selectOne(ctx context.Context, s *relay.Server) error {
	deadline, ok := ctx.Deadline()
	if ok {
		if err := s.Conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	l := &line{Conn: s.Conn}
	l.say(&pgproto3.Query{String: "SELECT 1"})
	if err := l.flush(); err != nil {
		return err
	}
	for range maxLoginMessages {
		kind, body, err := l.hear(maxLoginMessage)
		switch {
		case err != nil:
			return err
		case kind == wire.Error:
			return &serverError{wire.ParseError(body)}
		case kind == wire.ReadyForQuery:
			l.say(&pgproto3.Terminate{})
			return l.flush()
		}
	}
	return fmt.Errorf("server sent %d messages and was not ready", maxLoginMessages)
}
