package registry

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
)

// The sealed envelope: format byte, 12-byte random nonce, ciphertext, 16-byte
// tag of AES-256-GCM.
//
// The text is padded to a multiple of 64 bytes (ISO/IEC 7816-4: 0x80, then
// zeros). That hides a password's length, and gives every envelope one of a few
// lengths, so that one that was cut short is known as such: the tag alone could
// not tell it from one that was moved to another row.
const (
	sealFormat = 1
	nonceBytes = 12
	tagBytes   = 16
	padTo      = 64
	padMark    = 0x80
)

// A Binding names the row that a sealed value belongs to. It is authenticated,
// not stored: a value that was copied to another row does not open there.
type Binding struct {
	TenantID   string
	Kind       string
	Generation int
	Role       string
}

// associated is what GCM authenticates beside the text. Lengths stand before
// the parts, so that no two bindings give the same bytes.
func (b Binding) associated() []byte {
	var out []byte
	for _, part := range []string{"dermaga/v1", b.TenantID, b.Kind, strconv.Itoa(b.Generation), b.Role} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

// Seal encrypts plain for the row that b names, with the current key. A random
// nonce is safe for about 2^32 values under one key.
func (k *Keys) Seal(plain Secret, b Binding) (keyID string, sealed []byte, err error) {
	key := k.current()
	text := append([]byte(plain), padMark)
	for len(text)%padTo != 0 {
		text = append(text, 0)
	}
	out := make([]byte, 1+nonceBytes, 1+nonceBytes+len(text)+tagBytes)
	out[0] = sealFormat
	_, _ = rand.Read(out[1:]) // never fails: crypto/rand ends the process instead
	return key.id, key.aead.Seal(out, out[1:], text, b.associated()), nil
}

// Open decrypts what Seal made. Errors: ErrWrongKey, ErrTruncated,
// ErrSealFormat, ErrNotItsRow.
func (k *Keys) Open(keyID string, sealed []byte, b Binding) (Secret, error) {
	key, ok := k.byID(keyID)
	if !ok {
		return "", fmt.Errorf("%w: it was sealed with key %s, we have %s", ErrWrongKey, keyID, k.ID())
	}
	if len(sealed) == 0 {
		return "", fmt.Errorf("%w (0 bytes)", ErrTruncated)
	}
	if sealed[0] != sealFormat {
		return "", fmt.Errorf("%w (format %d)", ErrSealFormat, sealed[0])
	}
	body := len(sealed) - 1 - nonceBytes - tagBytes
	if body <= 0 || body%padTo != 0 {
		return "", fmt.Errorf("%w (%d bytes)", ErrTruncated, len(sealed))
	}
	text, err := key.aead.Open(nil, sealed[1:1+nonceBytes], sealed[1+nonceBytes:], b.associated())
	if err != nil {
		return "", ErrNotItsRow // err says no more than "authentication failed"
	}
	end := bytes.LastIndexByte(text, padMark)
	if end < 0 {
		return "", fmt.Errorf("%w (no padding)", ErrTruncated)
	}
	return Secret(text[:end]), nil
}
