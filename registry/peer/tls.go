package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/nusajournal/dermaga/registry"
)

// errStranger: the other end does not have our ENCRYPTION_KEY.
var errStranger = errors.New("the other end has another ENCRYPTION_KEY")

// identity is the key pair that all instances of one ENCRYPTION_KEY share, in a
// certificate of this process's own making.
func identity(keys *registry.Keys) (tls.Certificate, error) {
	key := ed25519.NewKeyFromSeed(keys.Derive("peer channel"))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "dermaga peer"},
		// Nobody looks at the dates: clocks differ, and the key is what counts.
		NotBefore: time.Unix(0, 0),
		NotAfter:  time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("peer certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// mutual is the configuration of either end.
func mutual(keys *registry.Keys) (*tls.Config, error) {
	mine, err := identity(keys)
	if err != nil {
		return nil, err
	}
	public := mine.PrivateKey.(ed25519.PrivateKey).Public().(ed25519.PublicKey)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{mine},
		ClientAuth:   tls.RequireAnyClientCert,
		// Authorities and names prove nothing here; VerifyConnection asks for the
		// key, of which the handshake has proven possession.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errStranger
			}
			theirs, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || !public.Equal(theirs) { // Equal takes constant time
				return errStranger
			}
			return nil
		},
	}, nil
}
