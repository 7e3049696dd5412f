package registry

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
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
	text := password.Reveal()
	if text == "" {
		return "", fmt.Errorf("%w: password is empty", ErrInvalid)
	}
	for _, r := range text {
		if r < ' ' || r > '~' {
			return "", fmt.Errorf("%w: password has characters beyond printable ASCII", ErrInvalid)
		}
	}
	salt := make([]byte, scramSaltBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	salted, err := pbkdf2.Key(sha256.New, text, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive verifier: %w", err)
	}
	stored := sha256.Sum256(hmacSHA256(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		scramIterations, b64(salt), b64(stored[:]), b64(hmacSHA256(salted, "Server Key"))), nil
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
