package registry

// Keys are the encryption keys that the process was given: one for now, more
// during a rotation, of which the first seals. Safe for concurrent use.
type Keys struct{}

// ParseKeys reads ENCRYPTION_KEY: 32 bytes as text, 64 hexadecimal digits, or
// base64 of 32 bytes.
func ParseKeys(text string) (*Keys, error) { panic("soon") }

// Derive returns 32 bytes that nobody without the key can know, different for
// each purpose.
func (k *Keys) Derive(purpose string) []byte { panic("soon") }

// A Binding names the row a sealed value belongs to. It is authenticated, not
// stored: a value copied to another row does not open there.
type Binding struct {
	TenantID   string
	Kind       string
	Generation int
	Role       string
}

// Seal encrypts plain for the row that b names.
func (k *Keys) Seal(plain Secret, b Binding) (keyID string, sealed []byte, err error) {
	panic("soon")
}

// Open decrypts what Seal made.
func (k *Keys) Open(keyID string, sealed []byte, b Binding) (Secret, error) { panic("soon") }
