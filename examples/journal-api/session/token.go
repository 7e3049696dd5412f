package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Life is how long a token is good for.
const Life = 8 * time.Hour

// minKey is the least length of the key that signs tokens, in bytes.
const minKey = 32

// ErrToken says that a token is not ours, is too old, or is of a user who has
// another password now or none.
var ErrToken = errors.New("the session has ended: log in again")

// Tokens makes and checks tokens. Safe for concurrent use.
type Tokens struct {
	key   []byte
	users *Users
}

// NewTokens signs with key, which must be a secret of at least 32 random bytes.
func NewTokens(key []byte, users *Users) (*Tokens, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the key for sessions has %d bytes: at least %d are needed", len(key), minKey)
	}
	return &Tokens{slices.Clone(key), users}, nil
}

// A Session is what a token says: who it is, and where they may go until when.
type Session struct {
	Email   string    `json:"email"`
	Tenants []string  `json:"tenants"`
	Expires time.Time `json:"expires"`

	// Password is a fingerprint of the user's hash: a new password ends the
	// sessions of the old one.
	Password string `json:"password"`
}

// May reports whether the session is good for a tenant.
func (s Session) May(tenant string) bool { return slices.Contains(s.Tenants, tenant) }

// Issue returns a token for a user who has logged in, and what it says.
func (t *Tokens) Issue(u User, now time.Time) (string, Session) {
	s := Session{
		Email: u.Email, Tenants: u.Tenants, Expires: now.Add(Life).UTC().Truncate(time.Second),
		Password: t.fingerprint(u),
	}
	payload, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings and a time: there is nothing to fail
	}
	text := base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + base64.RawURLEncoding.EncodeToString(t.sign("session", text)), s
}

// Check returns what a token of ours says. Its tenants are those that the user
// had then and still has. The error is ErrToken.
func (t *Tokens) Check(token string, now time.Time) (Session, error) {
	text, signature, _ := strings.Cut(token, ".")
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(given, t.sign("session", text)) {
		return Session{}, ErrToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Session{}, ErrToken
	}
	var s Session
	if err := json.Unmarshal(payload, &s); err != nil || !now.Before(s.Expires) {
		return Session{}, ErrToken
	}
	u, ok := t.users.byEmail[s.Email]
	if !ok || !hmac.Equal([]byte(s.Password), []byte(t.fingerprint(u))) {
		return Session{}, ErrToken
	}
	s.Tenants = slices.DeleteFunc(s.Tenants, func(slug string) bool { return !slices.Contains(u.Tenants, slug) })
	return s, nil
}

func (t *Tokens) fingerprint(u User) string {
	return base64.RawURLEncoding.EncodeToString(t.sign("password", string(u.Password.key))[:12])
}

// sign keeps the two uses of the key apart by a word before each.
func (t *Tokens) sign(use, text string) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(use + "\x00" + text))
	return mac.Sum(nil)
}
