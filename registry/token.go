package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// TokenRole says what a bearer token may do; each includes the one before.
type TokenRole string

const (
	Viewer   TokenRole = "viewer"
	Operator TokenRole = "operator"
	Admin    TokenRole = "admin"
)

// A Token is what the registry knows of a bearer token: never the token.
type Token struct {
	ID        string
	Name      string
	Prefix    string // its first 8 characters
	Role      TokenRole
	CreatedAt time.Time
	ExpiresAt *time.Time // nil: never
	RevokedAt *time.Time // nil: it is not
}

// NewToken is what IssueToken needs.
type NewToken struct {
	Name  string
	Role  TokenRole
	TTL   time.Duration // 0: for ever
	Actor string
}

const tokenPrefixLen = 8

const (
	createTokenSQL = `
INSERT INTO dermaga.api_tokens (name, prefix, sha256, role, expires_at)
VALUES ($1, $2, $3, $4, now() + nullif($5::bigint, 0) * interval '1 microsecond')`
	tokensSQL = `
SELECT id::text, name, prefix, role, created_at, expires_at, revoked_at FROM dermaga.api_tokens
WHERE $1::bytea IS NULL OR sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY name COLLATE "C", created_at`
	revokeTokenSQL = `
UPDATE dermaga.api_tokens SET revoked_at = now() WHERE id = $1::text::uuid AND revoked_at IS NULL
RETURNING name`
	tokenNameSQL = `SELECT name FROM dermaga.api_tokens WHERE id = $1::text::uuid`
)

// IssueToken makes a bearer token of the admin API; this is the only time that it
// is seen.
func (r *Registry) IssueToken(ctx context.Context, n NewToken) (Token, Secret, error) {
	if n.TTL < 0 {
		return Token{}, "", fmt.Errorf("%w: token's life %v: it must be positive", ErrInvalid, n.TTL)
	}
	secret := NewPassword()
	hash := sha256.Sum256([]byte(secret.Reveal()))
	var t Token
	err := r.inTx(ctx, fmt.Sprintf("create token %q", n.Name), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, createTokenSQL, n.Name, secret.Reveal()[:tokenPrefixLen], hash[:], string(n.Role), n.TTL.Microseconds())
		if err != nil {
			return err
		}
		if t, err = token(ctx, tx, hash); err != nil {
			return err
		}
		message := fmt.Sprintf("%s, %s", n.Name, n.Role)
		if n.TTL > 0 {
			message += fmt.Sprintf(", for %v", n.TTL)
		}
		return record(ctx, tx, Activity{Actor: n.Actor, Action: "token.create", Message: message})
	})
	if err != nil {
		return Token{}, "", err
	}
	return t, secret, nil
}

// CreateToken makes a bearer token that never expires.
func (r *Registry) CreateToken(ctx context.Context, name string, role TokenRole) (Secret, error) {
	_, secret, err := r.IssueToken(ctx, NewToken{Name: name, Role: role})
	return secret, err
}

// TokenRole returns what a presented token may do, or ErrNotFound, also for one
// that has expired or was revoked. Only hashes are compared: how long that takes
// says nothing about a token.
func (r *Registry) TokenRole(ctx context.Context, presented Secret) (Token, error) {
	t, err := token(ctx, r.pool, sha256.Sum256([]byte(presented.Reveal())))
	return t, explain("token", err)
}

func token(ctx context.Context, db querier, hash [sha256.Size]byte) (Token, error) {
	rows, err := db.Query(ctx, tokensSQL, hash[:])
	if err != nil {
		return Token{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Token])
}

// Tokens returns all tokens by name, expired and revoked ones included.
func (r *Registry) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := r.pool.Query(ctx, tokensSQL, nil)
	if err != nil {
		return nil, explain("list tokens", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Token])
	return found, explain("list tokens", err)
}

// RevokeToken ends a token at once. One that is revoked already is no error.
func (r *Registry) RevokeToken(ctx context.Context, id string, act Act) error {
	return r.inTx(ctx, "revoke token", func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, revokeTokenSQL, id).Scan(&name)
		if err == nil {
			return record(ctx, tx, Activity{Actor: act.Actor, Action: "token.revoke", Message: name})
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return tx.QueryRow(ctx, tokenNameSQL, id).Scan(&name)
	})
}
