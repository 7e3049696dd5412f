package broker

import "crypto/tls"

// alpn is PostgreSQL's protocol name, which a client that starts with TLS at
// once must offer (PostgreSQL 18 manual, 54.2.11).
const alpn = "postgresql"

// serverTLS is what clients get over cfg's certificates: TLS 1.2 at least; no
// session tickets, since a resumed session saves a client of a pooler nothing
// and its keys live in memory; records of one size, since a loop writes whole
// answers.
func serverTLS(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.NextProtos = []string{alpn}
	cfg.SessionTicketsDisabled = true
	cfg.DynamicRecordSizingDisabled = true
	return cfg
}
