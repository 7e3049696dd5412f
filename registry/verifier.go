package registry

// NewVerifier makes the SCRAM-SHA-256 verifier of a password, in PostgreSQL's
// own notation: SCRAM-SHA-256$4096:salt$StoredKey:ServerKey.
func NewVerifier(password Secret) (string, error) { panic("soon") }
