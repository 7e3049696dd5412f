package session

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// scheme is the only one of its kind: PBKDF2 with HMAC-SHA-256, which is in the
// standard library.
const scheme = "pbkdf2-sha256"

const (
	// Iterations of a new hash: what OWASP's Password Storage Cheat Sheet asks of
	// this scheme. They take a core a fifth of a second.
	Iterations = 600_000

	minIterations = 100_000   // fewer in the file are refused
	maxIterations = 5_000_000 // and so is what would only keep us busy

	saltLen, keyLen = 16, 32 // bytes

	// MinPassword is the least number of bytes of a new password.
	MinPassword = 12
)

// A Hash is a password's, as in "pbkdf2-sha256$600000$salt$key", in base64
// without padding. It prints as [redacted].
type Hash struct {
	iterations int
	salt, key  []byte
}

// HashPassword makes a hash with a salt of its own.
func HashPassword(password string) (Hash, error) {
	if len(password) < MinPassword {
		return Hash{}, fmt.Errorf("the password has fewer than %d characters", MinPassword)
	}
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails: crypto/rand
	return derive(password, salt, Iterations)
}

func derive(password string, salt []byte, iterations int) (Hash, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, keyLen)
	return Hash{iterations, salt, key}, err
}

// nobodys is a hash that no password has and that takes as long to check as any.
func nobodys() Hash {
	h := Hash{Iterations, make([]byte, saltLen), make([]byte, keyLen)}
	_, _ = rand.Read(h.salt) // never fails: crypto/rand
	_, _ = rand.Read(h.key)
	return h
}

// Matches reports whether the hash is of that password, in a time that does not
// depend on how much of it is right.
func (h Hash) Matches(password string) bool {
	got, err := derive(password, h.salt, h.iterations)
	return err == nil && subtle.ConstantTimeCompare(got.key, h.key) == 1
}

// String keeps the hash out of logs.
func (Hash) String() string { return "[redacted]" }

// GoString keeps it out of %#v as well.
func (Hash) GoString() string { return "[redacted]" }

// MarshalText implements encoding.TextMarshaler, for the file.
func (h Hash) MarshalText() ([]byte, error) {
	b := base64.RawStdEncoding
	return fmt.Appendf(nil, "%s$%d$%s$%s", scheme, h.iterations, b.EncodeToString(h.salt), b.EncodeToString(h.key)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. Its errors do not quote what
// they are about.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	part := strings.Split(string(text), "$")
	if len(part) != 4 || part[0] != scheme {
		return errors.New("the hash is not like " + scheme + "$iterations$salt$key")
	}
	if h.iterations, err = strconv.Atoi(part[1]); err != nil || h.iterations < minIterations || h.iterations > maxIterations {
		return fmt.Errorf("the hash has not between %d and %d iterations", minIterations, maxIterations)
	}
	if h.salt, err = base64.RawStdEncoding.DecodeString(part[2]); err != nil || len(h.salt) < saltLen {
		return fmt.Errorf("the hash has no salt of %d bytes in base64", saltLen)
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(part[3]); err != nil || len(h.key) != keyLen {
		return fmt.Errorf("the hash has no key of %d bytes in base64", keyLen)
	}
	return nil
}
