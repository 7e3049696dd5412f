package broker

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// Secrets of the keys that clients get, in bytes: what protocol 3.0 has room
// for, and what PostgreSQL 18 uses from 3.2 on.
const (
	shortSecret = 4
	longSecret  = 32
)

// A keyring knows whose each cancel key is. The keys are the broker's own: a
// server's key would cancel whatever client that server has by then. Safe for
// concurrent use.
type keyring struct {
	mu     sync.Mutex
	owners map[uint32]*owner
}

type owner struct {
	secret []byte
	client canceller // nil until the relay or the console has it
}

// A canceller ends what a client runs now, if it runs anything.
type canceller interface{ Cancel(context.Context) }

func newKeyring() *keyring { return &keyring{owners: map[uint32]*owner{}} }

// A key's process id has 31 bits, since drivers keep it in a signed integer. The
// upper ten are the instance's prefix, so that another one knows where to pass a
// request on to; without a prefix they are random like the rest.
const ownBits = 21

// prefixOf is the instance that issued a key, if it had a prefix then.
func prefixOf(pid uint32) int { return int(pid >> ownBits) }

// issue makes a key for a client that speaks v. The key cancels nothing until
// own says whose it is, and is dropped with drop.
func (k *keyring) issue(v wire.Version, prefix int) relay.BackendKey {
	length := shortSecret
	if v >= wire.Version32 {
		length = longSecret
	}
	secret := make([]byte, length)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		// Random, so that the number of clients cannot be read from it.
		var b [4]byte
		_, _ = rand.Read(b[:])
		pid := binary.BigEndian.Uint32(b[:]) & 0x7fffffff
		if prefix > 0 {
			pid = pid&(1<<ownBits-1) | uint32(prefix)<<ownBits
		}
		if _, taken := k.owners[pid]; taken || pid == 0 {
			continue
		}
		k.owners[pid] = &owner{secret: secret}
		return relay.BackendKey{PID: pid, Secret: secret}
	}
}

// own says whose key pid is. A client that has gone by now owns nothing.
func (k *keyring) own(pid uint32, c canceller) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o, ok := k.owners[pid]; ok {
		o.client = c
	}
}

func (k *keyring) drop(pid uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.owners, pid)
}

// cancel passes a request on to the client whose key it shows, and reports
// whether there is one. It returns when the request has been dealt with or ctx
// ends: whoever asked may go on then, and nothing of his is hit later.
func (k *keyring) cancel(ctx context.Context, pid uint32, secret []byte) (known bool) {
	k.mu.Lock()
	o, ok := k.owners[pid]
	var c canceller
	if ok && subtle.ConstantTimeCompare(o.secret, secret) == 1 {
		known, c = true, o.client
	}
	k.mu.Unlock()
	if c != nil {
		c.Cancel(ctx)
	}
	return known
}

// cancelServer asks a server to cancel what key's session runs, and returns when
// the server has closed the connection: it has dealt with the request then.
func (d *dialer) cancelServer(ctx context.Context, s registry.Server, key relay.BackendKey) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errDialTimeout)
	defer cancel()
	tries, err := encryptions(s.SSLMode)
	if err != nil {
		return err
	}
	_, err = d.attempt(ctx, s, tries[0], func(l *line) error {
		defer l.Close()
		l.say(&pgproto3.CancelRequest{ProcessID: key.PID, SecretKey: key.Secret})
		if err := l.flush(); err != nil {
			return err
		}
		var b [1]byte
		if _, err := l.Read(b[:]); err != io.EOF {
			return fmt.Errorf("server did not close: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cancel at %s: %w", s.Name, err)
	}
	return nil
}
