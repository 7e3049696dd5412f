package registry

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

const (
	scramIterations = 4096 // PostgreSQL's default, and the least RFC 7677 allows
	scramSaltBytes  = 16
)

// NewVerifier makes the SCRAM-SHA-256 verifier of a password (RFC 5803, in
// PostgreSQL's own notation): SCRAM-SHA-256$4096:salt$StoredKey:ServerKey.
// CREATE ROLE takes it in place of a password.
//
// The password must be printable ASCII, as NewPassword's are: others would have
// to be normalised first, and clients do not agree on how.
func NewVerifier(password Secret) (string, error) {
	salt := make([]byte, scramSaltBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return newVerifier(password, salt, scramIterations)
}

func newVerifier(password Secret, salt []byte, iterations int) (string, error) {
	text := password.Reveal()
	if text == "" {
		return "", fmt.Errorf("%w: password is empty", ErrInvalid)
	}
	for _, r := range text {
		if r < ' ' || r > '~' {
			return "", fmt.Errorf("%w: password has characters beyond printable ASCII", ErrInvalid)
		}
	}
	salted, err := pbkdf2.Key(sha256.New, text, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive verifier: %w", err)
	}
	stored := sha256.Sum256(hmacSHA256(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		iterations, b64(salt), b64(stored[:]), b64(hmacSHA256(salted, "Server Key"))), nil
}

// verifierBeside makes a verifier with the salt of another one of the same login.
// SCRAM tells a client the salt before it has proven anything: passwords can be
// valid side by side only if they share it.
func verifierBeside(other string, password Secret) (string, error) {
	parts := strings.FieldsFunc(other, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 {
		return "", fmt.Errorf("%w: malformed SCRAM verifier", ErrInvalid) // no part of it here
	}
	iterations, err := strconv.Atoi(parts[1])
	salt, saltErr := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || saltErr != nil {
		return "", fmt.Errorf("%w: malformed SCRAM verifier", ErrInvalid)
	}
	return newVerifier(password, salt, iterations)
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
