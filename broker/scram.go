package broker

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL 18 manual,
// 54.3.1). The arithmetic is the library's. What it is lenient about is checked
// here before it sees a message: a field that is missing, doubled, empty, out of
// order or too long is refused, as CVE-2026-19888 taught.

const mechanism = "SCRAM-SHA-256"

// maxSASLMessage bounds one message of the exchange, in bytes: PostgreSQL's
// PG_MAX_SASL_MESSAGE_LENGTH.
const maxSASLMessage = 1024

// parseVerifier reads a secret in PostgreSQL's notation,
// SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.
func parseVerifier(text string) (scram.StoredCredentials, error) {
	// No part of the text in these errors: who has it can pose as the server.
	malformed := errors.New("malformed SCRAM verifier")
	parts := strings.Split(text, "$")
	if len(parts) != 3 || parts[0] != mechanism {
		return scram.StoredCredentials{}, malformed
	}
	iterations, salt, ok := strings.Cut(parts[1], ":")
	stored, server, ok2 := strings.Cut(parts[2], ":")
	if !ok || !ok2 {
		return scram.StoredCredentials{}, malformed
	}
	n, err := strconv.Atoi(iterations)
	if err != nil || n < 1 {
		return scram.StoredCredentials{}, malformed
	}
	var keys [3][]byte
	for i, encoded := range []string{salt, stored, server} {
		if keys[i], err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return scram.StoredCredentials{}, malformed
		}
	}
	if len(keys[0]) == 0 || len(keys[1]) != sha256.Size || len(keys[2]) != sha256.Size {
		return scram.StoredCredentials{}, malformed
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(keys[0]), Iters: n}, StoredKey: keys[1], ServerKey: keys[2],
	}, nil
}

// What a mock verifier looks like must be what the registry makes, else a name
// that does not exist could be told from one that does.
const (
	mockIterations = 4096
	mockSaltBytes  = 16
)

// mockVerifier is what a name without a verifier is checked against: the same
// every time for one slug and login, unlike that of any other, and with keys
// that belong to no password.
func mockVerifier(secret []byte, slug, login string) scram.StoredCredentials {
	part := func(name string) []byte {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s\x00%d\x00%s\x00%s", name, len(slug), slug, login)
		return mac.Sum(nil)
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(part("salt")[:mockSaltBytes]), Iters: mockIterations},
		StoredKey:  part("stored key"),
		ServerKey:  part("server key"),
	}
}

// An exchange is one SCRAM authentication, in the order its methods stand. Used
// once. It may try several passwords: they are one conversation each, and the
// client, which is told one salt and one nonce, cannot tell.
type exchange struct {
	conversations []*scram.ServerConversation
}

// nonceBytes is what the library takes by itself.
const nonceBytes = 24

// newExchange checks against any of credentials, whose salt and iterations must be
// the same.
func newExchange(credentials ...scram.StoredCredentials) (*exchange, error) {
	random := make([]byte, nonceBytes)
	_, _ = rand.Read(random) // never fails: crypto/rand ends the process instead
	nonce := base64.StdEncoding.EncodeToString(random)
	x := &exchange{}
	for _, c := range credentials {
		// The name inside SCRAM is ignored, as PostgreSQL does: the startup packet's
		// is the one that counts, and libpq leaves this one empty.
		server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return c, nil })
		if err != nil {
			return nil, fmt.Errorf("SCRAM: %w", err)
		}
		server.WithNonceGenerator(func() string { return nonce })
		x.conversations = append(x.conversations, server.NewConversation())
	}
	return x, nil
}

// first takes the client-first-message and makes the server-first-message.
func (x *exchange) first(message []byte) (reply string, err error) {
	if err := checkClientFirst(string(message)); err != nil {
		return "", err
	}
	for _, c := range x.conversations { // which all answer the same
		if reply, err = c.Step(string(message)); err != nil {
			return "", errMalformedSCRAM("The client-first-message cannot be read.")
		}
	}
	return reply, nil
}

// final takes the client-final-message and makes the server-final-message.
// proven is false when all was well formed and the password was wrong.
func (x *exchange) final(message []byte) (reply string, proven bool, err error) {
	if err := checkClientFinal(string(message)); err != nil {
		return "", false, err
	}
	for _, c := range x.conversations {
		reply, err = c.Step(string(message))
		switch {
		case err == nil:
			return reply, c.Valid(), nil
		case reply == scram.ErrInvalidProof:
			continue
		case reply == scram.ErrChannelBindingsDontMatch:
			return "", false, errMalformedSCRAM("The channel binding is not the one of the client-first-message.")
		}
		return "", false, errMalformedSCRAM("The nonce or the proof does not fit the exchange.")
	}
	return "", false, nil
}

// checkClientFirst checks gs2-header and client-first-message-bare:
//
//	n,,n=,r=nonce[,extension…]
func checkClientFirst(m string) error {
	fields, err := saslFields(m)
	if err != nil {
		return err
	}
	switch {
	case len(fields) < 4:
		return errMalformedSCRAM("The client-first-message has too few fields.")
	case strings.HasPrefix(fields[0], "p="):
		return errChannelBinding
	case fields[0] != "n" && fields[0] != "y":
		return errMalformedSCRAM("The channel-binding flag is neither n nor y.")
	case strings.HasPrefix(fields[1], "a="):
		return errAuthorizationIdentity
	case fields[1] != "":
		return errMalformedSCRAM("The authorization identity is malformed.")
	case strings.HasPrefix(fields[2], "m="):
		return errSCRAMExtension
	case !strings.HasPrefix(fields[2], "n="):
		return errMalformedSCRAM("A user name (n) was expected.")
	case !strings.HasPrefix(fields[3], "r="):
		return errMalformedSCRAM("A nonce (r) was expected.")
	case !isNonce(fields[3][2:]):
		return errMalformedSCRAM("The nonce is empty or has characters that are not printable.")
	}
	return checkExtensions(fields[4:], "nramcp")
}

// checkClientFinal checks a client-final-message:
//
//	c=binding,r=nonce[,extension…],p=proof
func checkClientFinal(m string) error {
	fields, err := saslFields(m)
	if err != nil {
		return err
	}
	last := len(fields) - 1
	switch {
	case len(fields) < 3:
		return errMalformedSCRAM("The client-final-message has too few fields.")
	case !strings.HasPrefix(fields[0], "c=") || len(fields[0]) == 2:
		return errMalformedSCRAM("A channel binding (c) was expected.")
	case !strings.HasPrefix(fields[1], "r="):
		return errMalformedSCRAM("A nonce (r) was expected.")
	case !isNonce(fields[1][2:]):
		return errMalformedSCRAM("The nonce is empty or has characters that are not printable.")
	case !strings.HasPrefix(fields[last], "p=") || len(fields[last]) == 2:
		return errMalformedSCRAM("A proof (p) was expected as the last field.")
	}
	return checkExtensions(fields[2:last], "nramcp")
}

// saslFields splits a message at its commas.
func saslFields(m string) ([]string, error) {
	switch {
	case m == "":
		return nil, errMalformedSCRAM("The message is empty.")
	case strings.IndexByte(m, 0) >= 0:
		return nil, errMalformedSCRAM("Message length does not match input length.")
	}
	return strings.Split(m, ","), nil
}

// checkExtensions lets optional extensions pass, which RFC 5802 wants ignored:
// a letter that stands for nothing else, and a value.
func checkExtensions(fields []string, known string) error {
	for _, f := range fields {
		switch {
		case len(f) < 3 || f[1] != '=' || f[0]|0x20 < 'a' || f[0]|0x20 > 'z':
			return errMalformedSCRAM("A field is not of the form name=value.")
		case strings.IndexByte(known, f[0]) >= 0:
			return errMalformedSCRAM(fmt.Sprintf("The field %q is doubled or out of order.", f[:1]))
		}
	}
	return nil
}

// isNonce reports whether s is RFC 5802's 1*(%x21-2B / %x2D-7E).
func isNonce(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != ""
}
