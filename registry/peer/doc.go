// Package peer is how a process asks a running broker for what only that broker
// has: its figures, the end of its clients, the cancel key of one of them. It is
// HTTP on the address that the instance's row in the registry names
// (registry.Instance.PeerAddress), used by the admin side for every instance, its
// own included, and by brokers among themselves.
//
// Both ends show that they have the ENCRYPTION_KEY: TLS 1.3 in which each of them
// has a certificate of one and the same key pair, derived from that key. Nobody
// else can listen in, take part or repeat what was said, and no secret travels.
//
// Read wire.go (what is said, in JSON), tls.go (who may), server.go (a broker's
// end), client.go (the other one). Safe for concurrent use. A Client keeps
// connections until Close; Serve ends with its context.
package peer
