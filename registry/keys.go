package registry

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	keyBytes   = 32 // AES-256
	checkBytes = 8
	// howToMake ends every complaint about a key.
	howToMake = "make one with: openssl rand -hex 32"
)

// Keys are the encryption keys that the process was given: one for now, more
// during a rotation, of which the first seals. Safe for concurrent use.
type Keys struct{ all []key }

// A key knows itself by its check value, which is safe to store: who has the
// registry can tell which key it wants, not what the key is.
type key struct {
	id    string // "k-" and the check value in hexadecimal
	check []byte
	raw   []byte
	aead  cipher.AEAD
}

// ParseKeys reads ENCRYPTION_KEY: 32 bytes as text, 64 hexadecimal digits, or
// base64 of 32 bytes (standard or URL alphabet). No error shows the value.
func ParseKeys(text string) (*Keys, error) {
	text = strings.TrimSpace(text)
	raw, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("ENCRYPTION_KEY %w; %s", err, howToMake)
	}
	k, err := newKey(raw)
	if err != nil {
		return nil, err
	}
	return &Keys{all: []key{k}}, nil
}

func parseKey(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("is empty")
	}
	if looksLikePlaceholder(text) {
		return nil, errors.New("is still the placeholder of the example")
	}
	raw := decodeKey(text)
	if raw == nil {
		return nil, fmt.Errorf("has %d characters and is none of: %d bytes as text, 64 hexadecimal digits, base64 of %d bytes",
			len(text), keyBytes, keyBytes)
	}
	if repeats(raw) {
		return nil, errors.New("repeats itself: it is not random")
	}
	return raw, nil
}

// decodeKey returns nil for what is no key. 32 hexadecimal digits are text, as
// the first version took them.
func decodeKey(text string) []byte {
	if len(text) == keyBytes {
		return []byte(text)
	}
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == keyBytes {
		return raw
	}
	unpadded := strings.TrimRight(text, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := e.DecodeString(unpadded); err == nil && len(raw) == keyBytes {
			return raw
		}
	}
	return nil
}

// looksLikePlaceholder knows a key that somebody wrote for a reader rather than
// for a machine. Such words do not turn up by chance in 44 random characters.
func looksLikePlaceholder(text string) bool {
	low := strings.ToLower(text)
	for _, word := range []string{"change", "replace", "placeholder", "example", "your-", "your_", "secret", "password", "encryption", "32-char", "32char"} {
		if strings.Contains(low, word) {
			return true
		}
	}
	return false
}

// repeats reports whether raw is one short pattern over and over.
func repeats(raw []byte) bool {
	for period := 1; period <= len(raw)/2; period++ {
		same := true
		for i := period; i < len(raw) && same; i++ {
			same = raw[i] == raw[i-period]
		}
		if same {
			return true
		}
	}
	return false
}

func newKey(raw []byte) (key, error) {
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("dermaga key check"))
	k := key{raw: raw, check: mac.Sum(nil)[:checkBytes]}
	k.id = "k-" + hex.EncodeToString(k.check)
	block, err := aes.NewCipher(k.derive("seal"))
	if err != nil {
		return key{}, err
	}
	k.aead, err = cipher.NewGCM(block)
	return k, err
}

// derive is HKDF-SHA-256 (RFC 5869): one use of the key tells nothing of another.
func (k key) derive(purpose string) []byte {
	b, err := hkdf.Key(sha256.New, k.raw, nil, "dermaga/v1 "+purpose, keyBytes)
	if err != nil {
		panic(err) // only for more than 255 hashes of output
	}
	return b
}

// Derive returns 32 bytes that nobody without the key can know, different for
// each purpose.
func (k *Keys) Derive(purpose string) []byte { return k.current().derive("use " + purpose) }

// ID names the key that seals.
func (k *Keys) ID() string { return k.current().id }

func (k *Keys) current() key { return k.all[0] }

func (k *Keys) byID(id string) (key, bool) {
	for _, one := range k.all {
		if one.id == id {
			return one, true
		}
	}
	return key{}, false
}

// String keeps the keys out of logs.
func (k *Keys) String() string { return redacted }

// GoString keeps the keys out of %#v.
func (k *Keys) GoString() string { return redacted }
