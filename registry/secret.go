package registry

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret is a text that must not be printed: a password, a token, a URL with
// a password in it. Every way of formatting it gives [redacted]; Reveal is the
// only way to its text, and easy to search for.
type Secret string

// Reveal returns the secret's text.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string { return redacted }

// GoString covers %#v.
func (s Secret) GoString() string { return redacted }

// Format covers every other verb, %x and %d among them.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue covers log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText covers maps, flags and encoders by text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON covers encoding/json.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// NewPassword makes a random password of 256 bits in 43 characters that need
// no escape in a URL.
func NewPassword() Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return Secret(base64.RawURLEncoding.EncodeToString(b[:]))
}
