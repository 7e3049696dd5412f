package broker

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// The client's side of authentication: the broker towards a server. A server is
// not trusted here, least of all before it has proven that it knows the password.

// Bounds of what a server may ask for.
const (
	// maxIterations of PBKDF2 take about half a second (CVE-2026-6669: none was set).
	maxIterations = 1_000_000
	// minIterations is what PostgreSQL makes verifiers with, and RFC 7677's least:
	// with fewer, a false server could try passwords cheaply against our proof.
	minIterations = 4096
	// maxServerNonce, in bytes, our own part included: PostgreSQL's has 24 and ours
	// 32 (CVE-2026-6665: a longer one overran a buffer).
	maxServerNonce = 512
	maxSaltBytes   = 1024
)

// prove answers a server's requests for authentication up to its
// AuthenticationOk. Each message is expected at one place only.
func (d *dialer) prove(l *line, route *registry.Route) error {
	kind, body, err := l.hearAuth()
	if err != nil {
		return err
	}
	switch kind {
	case pgproto3.AuthTypeOk: // trust, which some private networks use
		return nil
	case pgproto3.AuthTypeSASL:
	case pgproto3.AuthTypeCleartextPassword:
		return errors.New("the server asks for the password in clear; set password_encryption and pg_hba.conf to scram-sha-256")
	case pgproto3.AuthTypeMD5Password:
		return errors.New("the server asks for an MD5 password; set password_encryption and pg_hba.conf to scram-sha-256")
	default:
		return fmt.Errorf("the server asks for authentication of type %d; only SCRAM-SHA-256 is supported", kind)
	}
	var offered pgproto3.AuthenticationSASL
	if err := offered.Decode(body); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	found := false
	for _, m := range offered.AuthMechanisms {
		found = found || m == mechanism
	}
	if !found {
		return fmt.Errorf("the server offers no SCRAM-SHA-256, but %q", offered.AuthMechanisms)
	}

	client, err := d.keys.client(route)
	if err != nil {
		return fmt.Errorf("SCRAM: %w", err)
	}
	conversation := client.NewConversation()
	first, err := conversation.Step("")
	if err != nil {
		return fmt.Errorf("SCRAM: %w", err)
	}
	l.say(&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(first)})
	body, err = l.hearAuthOf(pgproto3.AuthTypeSASLContinue)
	if err != nil {
		return err
	}
	challenge := string(body[4:])
	_, nonce, _ := strings.Cut(first, "r=")
	if err := checkServerFirst(challenge, nonce); err != nil {
		return err
	}
	d.computing.enter()
	final, err := conversation.Step(challenge)
	d.computing.leave()
	if err != nil {
		return fmt.Errorf("SCRAM: %w", err)
	}
	proven := false
	defer func() {
		if !proven {
			d.keys.forget(route)
		}
	}()
	l.say(&pgproto3.SASLResponse{Data: []byte(final)})
	body, err = l.hearAuthOf(pgproto3.AuthTypeSASLFinal)
	if err != nil {
		return err
	}
	if _, err := conversation.Step(string(body[4:])); err != nil || !conversation.Valid() {
		return errors.New("the server did not prove that it knows the password")
	}
	proven = true
	d.keys.keep(route, client)
	_, err = l.hearAuthOf(pgproto3.AuthTypeOk)
	return err
}

// hearAuth sends what was said and reads one authentication message; body
// includes the type.
func (l *line) hearAuth() (kind uint32, body []byte, err error) {
	if err := l.flush(); err != nil {
		return 0, nil, err
	}
	for range maxLoginMessages {
		k, body, err := l.hear(maxLoginMessage)
		switch {
		case err != nil:
			return 0, nil, err
		case k == wire.Error:
			return 0, nil, &serverError{wire.ParseError(body)}
		case k == wire.Notice:
			continue
		case k != authentication || len(body) < 4:
			return 0, nil, fmt.Errorf("server sent message type %d of %d bytes where authentication was expected", k, len(body))
		}
		return binary.BigEndian.Uint32(body), body, nil
	}
	return 0, nil, fmt.Errorf("server sent %d messages and no request for authentication", maxLoginMessages)
}

func (l *line) hearAuthOf(want uint32) ([]byte, error) {
	kind, body, err := l.hearAuth()
	if err != nil {
		return nil, err
	}
	if kind != want {
		return nil, fmt.Errorf("server sent authentication message %d where %d was expected", kind, want)
	}
	return body, nil
}

const authentication = 'R'

// checkServerFirst checks a server-first-message against our nonce and our
// bounds, before any work is done for it:
//
//	r=nonce,s=salt,i=iterations[,extension…]
func checkServerFirst(m, nonce string) error {
	malformed := func(what string) error { return errors.New("server's SCRAM challenge: " + what) }
	fields := strings.Split(m, ",")
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "r=") || !strings.HasPrefix(fields[1], "s=") || !strings.HasPrefix(fields[2], "i=") {
		return malformed("not of the form r=nonce,s=salt,i=iterations")
	}
	theirs, salt := fields[0][2:], fields[1][2:]
	switch {
	case len(theirs) > maxServerNonce:
		return malformed(fmt.Sprintf("a nonce of %d bytes", len(theirs)))
	case !isNonce(theirs):
		return malformed("an empty nonce, or one with characters that are not printable")
	case !strings.HasPrefix(theirs, nonce) || theirs == nonce:
		return malformed("its nonce does not extend ours")
	}
	if raw, err := base64.StdEncoding.DecodeString(salt); err != nil || len(raw) == 0 || len(raw) > maxSaltBytes {
		return malformed("no salt, or one that cannot be read")
	}
	iterations, err := strconv.Atoi(fields[2][2:])
	if err != nil || iterations < minIterations || iterations > maxIterations {
		return malformed(fmt.Sprintf("%.20q iterations, of which %d to %d are acceptable", fields[2][2:], minIterations, maxIterations))
	}
	if err := checkExtensions(fields[3:], "rsinmcp"); err != nil {
		return malformed("a malformed or doubled field")
	}
	return nil
}

// keyCacheSize bounds the credentials whose keys are kept. One takes about 300
// bytes; computing it again costs 0.5 ms (4,096 rounds of PBKDF2).
const keyCacheSize = 10_000

// A keyCache keeps the SCRAM keys of credentials, so that a dial need not derive
// them. The library's client remembers keys for every salt that it has met, so
// one is kept only while servers prove that they know the password: a server
// that makes up salts cannot make it grow. Safe for concurrent use.
type keyCache struct {
	clients *lru.Cache[credential, *scram.Client]
}

// A credential is one generation of a role's password.
type credential struct {
	tenant, role string
	generation   int
	password     registry.Secret
}

func credentialOf(r *registry.Route) credential {
	return credential{r.TenantID, r.Role, r.Generation, r.Password}
}

func newKeyCache() *keyCache {
	clients, err := lru.New[credential, *scram.Client](keyCacheSize)
	if err != nil {
		panic(err) // the size is positive
	}
	return &keyCache{clients}
}

// client returns the keys kept for r's credential, or a client that has none yet.
func (k *keyCache) client(r *registry.Route) (*scram.Client, error) {
	if c, ok := k.clients.Get(credentialOf(r)); ok {
		return c, nil
	}
	return newClient(r.Password)
}

// newClient is the client's side with a password and without a name: PostgreSQL
// takes the one of the startup packet. And like PostgreSQL, a password that
// SASLprep refuses is used as it is.
func newClient(password registry.Secret) (*scram.Client, error) {
	if c, err := scram.SHA256.NewClient("", password.Reveal(), ""); err == nil {
		return c, nil
	}
	return scram.SHA256.NewClientUnprepped("", password.Reveal(), "")
}

func (k *keyCache) keep(r *registry.Route, c *scram.Client) { k.clients.Add(credentialOf(r), c) }

func (k *keyCache) forget(r *registry.Route) { k.clients.Remove(credentialOf(r)) }
